"""What webchat costs compared with other chat servers, measured in one run: `python -m benchmarks`."""
