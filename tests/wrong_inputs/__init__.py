"""Every wrong input that was tried, by what it is; `docs/wrong_inputs.md` is made from them."""
