"""Installs acai_tf, zoo and export: what they depend on, and why. All else stands in pyproject.toml."""

import setuptools

# Why each is there, and why its range, which begins with what is installed and tested here (requirements.txt):
REQUIREMENTS = [
    'tensorflow>=2.21,<2.22',  # models, distribution, SavedModel; other versions are untried (docs/layout.md)
    'keras>=3.15,<3.16',  # layers, optimisers, mixed precision
    'tensorflow-datasets>=4.9.10,<4.10',  # the official data sets with their checksums
    'importlib_resources>=7.1',  # imported by tensorflow-datasets 4.9, which asks for it on old Pythons only
    'tensorflow-hub>=0.16.1,<0.17',  # hub.load, with which exported modules are proved
    'setuptools>=80.8,<80.9',  # tensorflow-hub 0.16 imports pkg_resources, of which 80.9 warns and which 82 removed
    'absl-py>=2.5,<3',  # flags
    'numpy>=2.4,<3',  # arrays; metrics; the lines renderer
    'pillow>=13.0,<14',  # reads PNG, JPEG and WebP; bicubic resizing
    'scikit-learn>=1.9,<2',  # k-means, logistic regression, NMI, ARI, t-SNE
    'sacrebleu>=2.6,<3',  # BLEU of sentences: self-BLEU, reconstruction, style transfer
    'scipy>=1.17,<2',  # Hungarian matching, Student's t, log-sum-exp
    'threadpoolctl>=3.8,<4',  # one thread for each restart of k-means; scikit-learn brings it
    'rich>=15.0,<16',  # progress bar and tables
    'matplotlib>=3.11,<4',  # pictures
    'tensorboard>=2.21,<2.22',  # tf.summary writes through it; TensorFlow 2.21 no longer brings it
]

setuptools.setup(
    install_requires=REQUIREMENTS,
    extras_require={
        'test': [
            'ruff>=0.17,<1',  # lint
            'mypy>=2.4,<3',  # types
            'pytest>=9.2,<10',  # runs the tf.test cases and reports them by name
            'pytest-xdist>=3.8,<4',  # on as many processors as there are
            'packaging>=26.3,<27',  # reads these ranges, to hold them against the lock
            'scikit-image>=0.26,<1',  # its SSIM, which ours is held against
            'nbclient>=0.11,<0.12',  # runs the notebooks of examples/ ...
            'ipykernel>=7.4,<8',  # ... in a kernel, as readers do
            'nbformat>=5.11.1,<6',  # reads and writes them
            'tf_keras>=2.21,<2.22',  # modules in hub.KerasLayer, which needs it; tensorflow-hub brings it
        ],
        'export': [
            'ai-edge-litert>=2.3,<3',  # runs LiteRT files, which TensorFlow's own converter writes
            'tf2onnx>=1.17,<2',  # writes ONNX; brings onnx
            'onnxruntime>=1.32,<2',  # runs it
        ],
        'page': [  # for the test of the gallery's page, beside `export` and a Chromium
            'playwright>=1.65.2,<2',  # drives the browser
        ],
        'docs': [
            'mkdocs>=1.6,<2',  # docs/ as pages that open from disk; it fails on broken links
            'mkdocs-material>=9.8,<10',  # their look and search, with nothing fetched from elsewhere
            'mkdocstrings-python>=2.0,<3',  # the reference from docstrings, read without importing TensorFlow
        ],
        'publish': [  # python -m zoo publish --yes
            'huggingface_hub>=2.4,<3',  # uploads to Hugging Face
            'kagglehub>=1.0.3,<2',  # and to Kaggle
        ],
    },
)
