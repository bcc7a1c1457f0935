"""Input that once ended badly inside a library below: the error names the call, what came and what is expected."""

import re

import numpy as np
from shared.tables import autoencoder

import torusae
from torusae import densities, losses, metrics, networks, plots

RAGGED = [[1.0, 2.0], [3.0]]
ONES = np.ones((3, 2), "float32")


CASES = [
    (lambda: torusae.wrap_angles(RAGGED), ValueError, r"wrap_angles: .*rows differ in length"),
    (lambda: losses.sliced_loss(ONES, RAGGED), ValueError, r"sliced_loss: .*rows differ in length"),
    (lambda: densities.VonMisesMixture().fit(RAGGED), ValueError, r"VonMisesMixture.fit: .*differ in length"),
    (lambda: plots.plot_samples(RAGGED), ValueError, r"plot_samples: .*rows differ in length"),
    (lambda: autoencoder().decode(RAGGED), ValueError, r"TorusAutoencoder.decode: .*rows differ in length"),
    (lambda: autoencoder().decode([["a"] * 4]), TypeError, r"TorusAutoencoder.decode: .*must be numbers"),
    (
        lambda: torusae.angle_difference(ONES, ONES[:, :1].repeat(3, 1)),
        ValueError,
        r"angle_difference: .*broadcast.*a.shape=\(3, 2\), b.shape=\(3, 3\)",
    ),
    (lambda: torusae.to_cartesian(ONES, ONES[:2]), ValueError, r"to_cartesian: .*broadcast.*angles.shape=\(2, 2\)"),
    (lambda: torusae.wrap_angles(ONES, 1e-300), ValueError, r"wrap_angles: `period` must lie between.*1e-300"),
    (lambda: torusae.spring_loss(ONES, 1e30), ValueError, r"spring_loss: `period` must lie between.*1e\+30"),
    (lambda: torusae.angles.integer_vectors([2]), TypeError, r"integer_vectors: `dim` must be an integer"),
    (lambda: torusae.angles.integer_vectors(10**9, 10**9), ValueError, r"integer_vectors: .*more than 1048576"),
    (lambda: torusae.windings(10**30), ValueError, r"windings: `dim` must be at most 2147483647.*10{30}"),
    (lambda: torusae.windings(10**9, 0), ValueError, r"windings: .*more than 1048576"),
    (
        lambda: torusae.morph_paths(ONES[0], ONES[0], "elbow"),
        TypeError,
        r"morph_paths: `windings` must be integers.*dtype=<U5",
    ),
    (lambda: torusae.spring_loss(ONES, reduction=ONES), ValueError, r"spring_loss: `reduction` must be one of"),
    (
        lambda: torusae.normal_quantiles(3, None),
        ValueError,
        r"normal_quantiles: `mean` must be a finite number.*None",
    ),
    (
        lambda: torusae.normal_quantiles(3, np.nan),
        ValueError,
        r"normal_quantiles: `mean` must be a finite number.*nan",
    ),
    (lambda: metrics.intrinsic_dimension(np.eye(4), seed="a"), TypeError, r"intrinsic_dimension: `seed` must be"),
    (lambda: torusae.Torus(1).sample(2, seed=10**12), ValueError, r"`seed` must be at most.*10{12}"),
    (lambda: torusae.Torus(1).sample(2, seed="a"), TypeError, r"`seed` must be an integer.*'a'"),
    (
        lambda: torusae.Gaussian(2).distance(ONES, "elbow"),
        TypeError,
        r"Gaussian.distance: `b` must be a tensor of floating-point numbers",
    ),
    (
        lambda: (torusae.Torus(1) * torusae.Gaussian(2)).distance(ONES, ONES),
        ValueError,
        r"Product.distance: points must have the shape \(batch, 4\).*\(3, 2\)",
    ),
    (lambda: torusae.TorusLatent(2, 3), TypeError, r"TorusLatent: `losses` must be a name or a list.*losses=3"),
    (lambda: torusae.TorusLatent(2, loss_weights=ONES), TypeError, r"TorusLatent: `loss_weights` must be a dict"),
    (lambda: torusae.Head("classification", 3, units=4), TypeError, r"Head: `units` must be a sequence.*units=4"),
    (lambda: torusae.Head(ONES), ValueError, r"Head: `task` must be one of"),
    (
        lambda: networks.dense_encoder(4),
        TypeError,
        r"dense_encoder: `input_shape` must be a sequence.*input_shape=4",
    ),
    (lambda: networks.dense_decoder((4,), 2, 5), TypeError, r"dense_decoder: `units` must be a sequence.*units=5"),
    (
        lambda: torusae.TorusAutoencoder.from_shape((4,), heads=3),
        TypeError,
        r"TorusAutoencoder: `heads` must be a dict.*heads=3",
    ),
    (
        lambda: autoencoder().encode("elbow"),
        TypeError,
        r"TorusAutoencoder.encode: `x` must be an array or a stream.*str",
    ),
    (lambda: autoencoder().fit({}), TypeError, r"TorusAutoencoder.fit: `x` must be an array or a stream.*dict"),
    (
        lambda: autoencoder().predict(3),
        TypeError,
        r"TorusAutoencoder.predict: `x` must be an array or a stream.*int",
    ),
    (lambda: plots.plot_spring(np.float32(1)), ValueError, r"plot_spring: `angles` must have shape"),
]


def test_bad_input_is_named():
    wrong = []
    for call, error, message in CASES:
        try:
            call()
        except Exception as raised:
            if type(raised) is not error or not re.search(message, str(raised), re.DOTALL):
                wrong.append(f"{message}: {type(raised).__name__}: {raised}")
        else:
            wrong.append(f"{message}: nothing was raised")
    assert not wrong
