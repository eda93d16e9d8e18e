"""Bring Fashion-MNIST into the user cache and describe it."""

from common import fetch_and_describe, parser

from al_tf.datasets.fashion_mnist import fetch_from_debian

if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument(
        "--from-debian",
        action="store_true",
        help="first take the files from Debian's package into the cache (apt-get download, no root)",
    )
    args = options.parse_args()
    fetch_and_describe(
        "fashion_mnist",
        before=fetch_from_debian if args.from_debian else None,
        data_dir=args.data_dir,
        seed=args.seed,
    )
