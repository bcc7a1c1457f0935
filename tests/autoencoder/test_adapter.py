"""What comes into a model: data frames, named parts, splits, and that data are checked once."""

import numpy as np
import pandas as pd
import pytest
from shared.tiny import digit_head, labels, samples, tiny_model

import torusae
from torusae._internal import checks
from torusae.autoencoder.adapter import Rows

pytestmark = pytest.mark.eager


def frame(num=20, columns="abcd"):
    return pd.DataFrame(samples(num), columns=list(columns))


def compiled(heads=None, **arguments):
    model = tiny_model(heads)
    model.compile("sgd", "mse", **arguments)
    return model


def test_a_data_frame_is_its_array():
    x, (first, second) = samples(), (compiled(), compiled())
    second.set_weights(first.get_weights())
    for model, data in ((first, x), (second, frame())):
        model.fit(data, batch_size=20, shuffle=False, verbose=0, validation_data=(data,))
    np.testing.assert_array_equal(second.encode(frame(), verbose=0), first.encode(x, verbose=0))
    np.testing.assert_array_equal(second.rotate(frame(), {0: 0.3}, verbose=0), first.rotate(x, {0: 0.3}, verbose=0))


def test_the_columns_of_the_training_are_asked_for_and_kept(tmp_path):
    model = compiled()
    model.fit(frame(), verbose=0)
    loaded = type(model).from_config(model.get_config())
    for each in (model, loaded):
        with pytest.raises(ValueError, match=r"encode: `x` must have the columns.*'a', 'b', 'c', 'd'.*'b', 'a'"):
            each.encode(frame(columns="bacd"), verbose=0)
    with pytest.raises(ValueError, match=r"`x` must hold finite numbers only. Received: nan at position \(3, 1\)"):
        model.fit(frame().mask(np.arange(80).reshape(20, 4) == 13), verbose=0)
    with pytest.raises(TypeError, match="columns of numbers"):
        model.fit(frame().assign(d="text"), verbose=0)


def test_rows_keep_their_parts_together():
    x, known = samples(6), np.arange(24).reshape(6, 4) % 2 == 0
    rows = Rows(x, {"reconstruction": x, "digit": labels(6)}, {"digit": np.arange(6.0)}, known=known)[2:5]
    np.testing.assert_array_equal(rows.sample, x[2:5])
    np.testing.assert_array_equal(rows.targets["digit"], [2, 0, 1])
    np.testing.assert_array_equal(rows.weight_of("digit"), [2, 3, 4])
    np.testing.assert_array_equal(rows.known, known[2:5])
    assert rows.weight_of("reconstruction") is None
    assert rows.group is None


def test_a_split_leaves_rows_on_both_sides():
    for fraction in [0.999, 1.0]:
        with pytest.raises(
            ValueError, match=rf"fit: `validation_split` must leave rows.*validation_split={fraction} of 20"
        ):
            compiled().fit(samples(), validation_split=fraction, verbose=0)


def test_fit_checks_its_data_once(monkeypatch):
    model, seen = compiled({"digit": digit_head()}, supervision={"hour": torusae.supervision.Relative()}), []
    finite = checks.finite_array

    def noted(owner, name, *given):
        seen.append(name)
        return finite(owner, name, *given)

    monkeypatch.setattr(checks, "finite_array", noted)
    prepared = torusae.supervision.Relative.prepared
    monkeypatch.setattr(
        torusae.supervision.Relative, "prepared", lambda *given: (seen.append("hour"), prepared(*given))[1]
    )
    model.fit(samples(), {"digit": labels(), "hour": np.linspace(0, 1, 20)}, verbose=0)
    assert [name for name in seen if name in ("x", "y['hour']", "hour")] == ["x", "hour"]
