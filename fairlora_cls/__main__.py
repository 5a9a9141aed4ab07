"""`python -m fairlora_cls`, which torchrun and accelerate launch."""

from fairlora_cls.cli import main

if __name__ == "__main__":
    main()
