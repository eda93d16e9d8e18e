"""Bring Fashion-MNIST into the user cache and print the counts of its long-tailed pool."""

from common import fetch_and_describe, parser

if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument(
        "--imbalance",
        type=float,
        nargs="+",
        default=[0.02],
        help="smallest/largest class of a long tail (default 0.02), or the fraction kept of each class",
    )
    args = options.parse_args()
    fetch_and_describe(
        "imbalanced_fashion_mnist",
        data_dir=args.data_dir,
        seed=args.seed,
        imbalance=args.imbalance[0] if len(args.imbalance) == 1 else args.imbalance,
    )
