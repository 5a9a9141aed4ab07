"""`python -m fairlora_cls`, which torchrun and accelerate launch."""

if __name__ == "__main__":
    try:
        from fairlora_cls.cli.app import main

        main()
    except KeyboardInterrupt:  # before the verb has begun
        raise SystemExit(130) from None
