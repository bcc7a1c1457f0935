"""What is internal: checks, arrays, files, and every special case of one backend."""
