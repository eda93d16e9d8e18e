"""Bring the magnetic-tile surfaces into the user cache, decode them once, and describe them."""

from common import fetch_and_describe, parser

if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--size", type=int, default=64, help="height and width (default 64)")
    options.add_argument(
        "--labels",
        choices=("defect", "binary"),
        default="defect",
        help="the six classes, or good and defective",
    )
    args = options.parse_args()
    fetch_and_describe(
        "magnetic_tile",
        data_dir=args.data_dir,
        seed=args.seed,
        size=args.size,
        labels=args.labels,
    )
