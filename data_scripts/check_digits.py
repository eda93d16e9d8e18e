"""Describe the digits bundled with scikit-learn; nothing is fetched."""

from common import fetch_and_describe, parser

if __name__ == "__main__":
    args = parser(__doc__).parse_args()
    fetch_and_describe("digits", data_dir=args.data_dir, seed=args.seed)
