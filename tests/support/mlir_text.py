"""Small helpers to write programs in tenon's text form."""


def tensor(*dims, of="f32"):
    """tensor("B", 4) -> tensor<?x4xf32, #tenon.dims<[B, 4]>>; no dims attribute where all are constants."""
    shape = "x".join(str(d) if isinstance(d, int) else "?" for d in dims)
    body = f"{shape}x{of}" if dims else of
    if all(isinstance(d, int) for d in dims):
        return f"tensor<{body}>"
    return f"tensor<{body}, #tenon.dims<[{', '.join(map(str, dims))}]>>"


def entry(inputs, outputs, body, symbols, values=None):
    """A module with one entry point.

    inputs: NAME -> type; outputs: NAME -> type, which `body` computes as `values`, or as %NAME each;
    symbols: NAME -> (low, high).
    """
    lines = [f"tenon.symbol @{name} in [{low}, {high}]" for name, (low, high) in symbols.items()]
    arguments = ", ".join(f'%{n}: {t} {{tenon.name = "{n}"}}' for n, t in inputs.items())
    results = ", ".join(f'{t} {{tenon.name = "{n}"}}' for n, t in outputs.items())
    returned, types = ", ".join(values or [f"%{n}" for n in outputs]), ", ".join(outputs.values())
    return "\n".join(lines + [f"func.func @main({arguments}) -> ({results}) attributes {{tenon.entry}} {{", body,
                              f"  return {returned} : {types}", "}", ""])
