def mask(text: str) -> str:
    return text
def mask_tree(value):
    return value
