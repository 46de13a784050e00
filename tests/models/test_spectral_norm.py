"""Spectral normalisation against singular values from NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.models.spectral_norm import SpectralConv

KEY = jax.random.key(0)


def made():
    module = SpectralConv(6, kernel=1, padding=0, kernel_init=jax.nn.initializers.normal(1.0))
    x = jax.random.normal(KEY, (2, 3, 3, 4))
    return module, x, module.init(KEY, x, train=True)


def test_repeated_calls_divide_by_the_largest_singular_value():
    module, x, variables = made()
    matrix = np.asarray(variables["params"]["conv"]["kernel"]).reshape(4, 6)

    @jax.jit
    def call(variables):
        y, state = module.apply(variables, x, train=True, mutable=["spectral"])
        return y, {**variables, **state}

    for _ in range(100):
        y, variables = call(variables)
    left, singular, right = np.linalg.svd(matrix)
    expected = x @ (matrix / singular[0]) + variables["params"]["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    found = variables["spectral"]
    assert abs(found["v"] @ left[:, 0]) > 0.9999
    assert abs(found["u"] @ right[0]) > 0.9999


def test_a_call_is_one_iteration_in_both_modes_and_only_training_keeps_it():
    module, x, variables = made()
    matrix = np.asarray(variables["params"]["conv"]["kernel"]).reshape(4, 6)
    v = matrix @ variables["spectral"]["u"]
    v /= np.linalg.norm(v)
    u = v @ matrix
    sigma, u = np.linalg.norm(u), u / np.linalg.norm(u)
    trained, state = module.apply(variables, x, train=True, mutable=["spectral"])
    np.testing.assert_allclose(state["spectral"]["u"], u, rtol=1e-5)
    np.testing.assert_allclose(state["spectral"]["v"], v, rtol=1e-5)
    expected = x @ (matrix / sigma) + variables["params"]["bias"]
    np.testing.assert_allclose(trained, expected, rtol=1e-5, atol=1e-5)
    evaluated = module.apply(variables, x, train=False)
    np.testing.assert_array_equal(evaluated, trained)


def test_the_gradient_knows_that_the_scale_of_the_kernel_does_not_matter():
    """y(a * W) = y(W), so the gradient is orthogonal to W (Euler); it is not where the divisor is
    held constant.
    """
    module, x, variables = made()

    def loss(params):
        y = module.apply({**variables, "params": params}, x, train=False)
        return jnp.sum(jnp.sin(y))

    grads = jax.grad(loss)(variables["params"])["conv"]["kernel"]
    kernel = variables["params"]["conv"]["kernel"]
    along = jnp.sum(grads * kernel)
    assert abs(along) < 1e-4 * jnp.linalg.norm(grads) * jnp.linalg.norm(kernel)
