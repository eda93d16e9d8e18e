"""Bring CIFAR-10 into the user cache, decode it once, and describe it."""

from common import fetch_and_describe, parser

if __name__ == "__main__":
    args = parser(__doc__).parse_args()
    fetch_and_describe("cifar10", data_dir=args.data_dir, seed=args.seed)
