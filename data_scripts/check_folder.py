"""Read a folder of images (one subfolder per class) as an experiment does, and describe it."""

from common import fetch_and_describe, parser

if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("path", help="folder with one subfolder per class, or train/ and test/")
    options.add_argument("--size", type=int, help="scale and pad to this height and width")
    options.add_argument(
        "--test-size",
        type=float,
        default=0.2,
        help="part of each class to test on, without a test/",
    )
    options.add_argument(
        "--group", help="pattern of file names that show the same thing: (.*)_\\d+"
    )
    options.add_argument("--labels", help="CSV of file names and labels, in place of class folders")
    args = options.parse_args()
    fetch_and_describe(
        f"folder:{args.path}",
        data_dir=args.data_dir,
        seed=args.seed,
        size=args.size,
        test_size=args.test_size,
        group=args.group,
        labels=args.labels,
    )
