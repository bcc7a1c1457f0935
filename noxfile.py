"""Tasks: `nox` checks style and runs the tests on every backend; `nox -l` lists the rest."""

import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
BACKENDS = ["torch", "jax", "tensorflow"]
# What a GPU needs beside the backend's own package.
GPU_PACKAGES = {"torch": "torch>=2.6", "jax": "jax[cuda12]>=0.5", "tensorflow": "tensorflow[and-cuda]>=2.18"}


def groups(*names: str) -> list[str]:
    """The requirements of dependency groups."""
    return list(nox.project.dependency_groups(PROJECT, *names))


def install(session: nox.Session, backend: str) -> None:
    """The library with one backend alone, so that nothing can fall back on another."""
    pinned = groups("torch") if backend == "torch" else []
    session.install("-e", f".[{backend},plots]", *pinned, *groups("test"))


def environment(backend: str) -> dict[str, str]:
    """`KERAS_BACKEND` has to stand before Keras is imported; the rest keeps TensorFlow quiet."""
    return {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"}


def install_and_test(session: nox.Session, backend: str, *options: str, quick: bool = False) -> None:
    """Install the library and run the tests."""
    install(session, backend)
    run_tests(session, backend, *options, quick=quick)


def run_tests(session: nox.Session, backend: str, *options: str, cached: bool = True, quick: bool = False) -> None:
    """Run pytest in two processes, each on one thread: the tests are many and small.

    On JAX most of their time is compilation, of much the same functions: both processes and later runs share it. With
    `quick`, code is compiled for less time and not for speed. The other sessions compile it as a user's process does.
    """
    compilation = {
        "JAX_COMPILATION_CACHE_DIR": str(Path(session.virtualenv.location, "compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",
    }
    if quick and backend == "jax":
        flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"}
        # Flags come and go with XLA's versions, and an unknown one ends the process.
        script = "import jax; jax.devices(); print('known')"
        answer = session.run("python", "-c", script, env=flags, silent=True, success_codes=[0, 1, -6, 134])
        compilation |= flags if "known" in (answer or "") else {}
    if quick and backend == "tensorflow":
        compilation |= {"TESTS_OF_PLAIN_GRAPHS": "1"}  # read by tests/conftest.py: TensorFlow has no variable for it
    session.run(
        "pytest",
        "--numprocesses",
        "2",
        "--dist",
        "worksteal",
        *options,
        *session.posargs,
        env={**environment(backend), **(compilation if cached else {}), "OMP_NUM_THREADS": "1"},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*groups("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check type hints."""
    session.install("-e", ".", *groups("types"))
    session.run("mypy", *session.posargs)


@nox.session
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def tests(session: nox.Session, backend: str) -> None:
    """Run the tests on one backend: nox -s 'tests(jax)' -- -k spring. Those that no backend changes run on torch."""
    marked = [f"not {name}" for name in ("slow", "gpu", "export", "explore", *(["host"] if backend != "torch" else []))]
    install_and_test(session, backend, "-m", " and ".join(marked), quick=True)


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def slow(session: nox.Session, backend: str) -> None:
    """Run the tests that are too long for `tests`."""
    session.install(*groups("slow"))
    install_and_test(session, backend, "-m", "slow")


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def minimums(session: nox.Session, backend: str) -> None:
    """Run the tests with the lowest stated versions of all packages and a backend."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    stated = [*project["dependencies"], *extras[backend], *extras["sklearn"]]
    lowest = [requirement.replace(">=", "==") for requirement in stated]
    session.install("-e", f".[{backend},plots,sklearn]", *lowest, *groups("test"))
    # A step that JAX 0.5.0 loaded from a cache crashed.
    run_tests(session, backend, cached=False)


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def export(session: nox.Session, backend: str) -> None:
    """Export models to every format that Keras knows on a backend, and run them there."""
    session.install(*groups(f"export-{backend}"))
    # litert-torch brings the plugin of anyio, which uses names that pytest has deprecated.
    install_and_test(session, backend, "-m", "export", "-p", "no:anyio")


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def explore(session: nox.Session, backend: str) -> None:
    """Open the explorer's page in Chromium, the system's or playwright's own, and run its network in node."""
    session.install(*groups("explore"))
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        session.run("playwright", "install", "chromium")
    install_and_test(session, backend, "-m", "explore")


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def fuzz(session: nox.Session, backend: str) -> None:
    """Drive every public function with random inputs: nox -s 'fuzz(jax)' -- --seconds 60 --only wrap_angles."""
    install(session, backend)
    session.run("python", "tests/fuzz.py", *session.posargs, env=environment(backend))


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def examples(session: nox.Session, backend: str) -> None:
    """Run every example, made small."""
    install(session, backend)
    session.install(*groups("examples"))
    small = ["--epochs", "1", "--samples", "600"]
    scripts = {
        "mnist.py": small,
        "benchmarks/digit_classifier.py": small,
        "pretrained.py": small,
        "benchmarks/compare.py": [*small, "--seeds", "0"],
        "benchmarks/recipes.py": ["--recipes", "6", "--steps", "5"],
        "moons.py": small,
        "benchmarks/batches.py": ["--batches", "1024", "--epochs", "1"],
        "hue_and_rotation.py": small,
        "benchmarks/compression.py": ["--rates", "8", "--seeds", "0", "--epochs", "1"],
        "pose.py": ["--num", "600", "--epochs", "1", "--restarts", "1"],
        "benchmarks/power.py": ["--batch-sizes", "64", "--batches", "10"],
        "benchmarks/losses.py": ["--seconds", "0", "--largest", "1600"],
        "benchmarks/scale.py": ["--steps", "1", "--repeats", "1"],
        "benchmarks/step.py": ["--steps", "2", "--seconds", "0", "--turns", "2"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for script, options in scripts.items():
            output = Path(folder, Path(script).stem + (".keras" if script.endswith("digit_classifier.py") else ""))
            session.run("python", f"examples/{script}", *options, "--output", str(output), env=environment(backend))


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def results(session: nox.Session, backend: str) -> None:
    """Make the tables of docs/results.md again: those of times on every backend, the others on JAX. Two hours."""
    install(session, backend)
    session.install(*groups("examples", "real-data"))
    tables = ["step", "losses", *(["evenness", "counts", "starts"] if backend == "jax" else [])]
    options = session.posargs or ["--tables", *tables]
    session.run("python", "examples/benchmarks/results.py", *options, env=environment(backend))


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def real_data(session: nox.Session, backend: str) -> None:
    """Run the example of real data, made small. It has a session of its own: it needs many packages."""
    install(session, backend)
    session.install(*groups("real-data"))
    with tempfile.TemporaryDirectory() as folder:
        options = session.posargs or ["--epochs", "1", "--output", folder]
        session.run("python", "examples/real_data.py", *options, env=environment(backend))


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def gpu(session: nox.Session, backend: str) -> None:
    """Train on the GPU of a backend; fails where it finds none."""
    session.install("-e", ".[plots]", GPU_PACKAGES[backend], *groups("test"))
    session.run("pytest", "-m", "gpu", *session.posargs, env=environment(backend))


@nox.session(default=False)
def golden(session: nox.Session) -> None:
    """Write the losses' golden values again and show what changed."""
    session.install("numpy", "scipy")
    session.run("python", "tests/make_golden.py", *session.posargs)


@nox.session(default=False)
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def models(session: nox.Session, backend: str) -> None:
    """Write the small saved models again that every backend must load."""
    install(session, backend)
    # An older Keras can't load the file of a newer one.
    session.install(PROJECT["project"]["dependencies"][0].replace(">=", "=="))
    session.run("python", "tests/make_models.py", env=environment(backend))


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the site into `site/`: run its pages, and take warnings for errors. It needs no network."""
    session.install("-e", ".[jax,plots,circles,sklearn]", *groups("docs"))
    options = session.posargs or ["--fresh-env"]
    variables = {**environment("jax"), "MPLBACKEND": None}  # the pages' own, which shows figures in them
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", *options, "docs", "site", env=variables)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the wheel, install it with one backend into a clean environment, and use it."""
    session.install("build")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--wheel", "--outdir", folder)
        (wheel,) = Path(folder).glob("*.whl")
        session.install("--force-reinstall", f"{wheel}[jax]")
        session.chdir(folder)
        session.run("python", "-c", SMOKE_TEST, env=environment("jax"))


SMOKE_TEST = """
import numpy as np, torusae
data = torusae.datasets.load_mnist_subset()
print(data.source)
x = data.x_train[:256]
model = torusae.TorusAutoencoder.from_shape(x.shape[1:], dim=3)
model.compile("adam", "mse")
model.fit(x, batch_size=128, epochs=1, verbose=2)
model.save("model.keras")
import keras
loaded = keras.saving.load_model("model.keras")
assert torusae.explore(loaded, "torus.html", x).stat().st_size > 100_000
np.testing.assert_allclose(loaded.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)
print("torusae", torusae.__version__, "works")
"""
