"""Pictures as SVG from plain values: no markup from outside enters unescaped, nothing lies outside the viewBox."""
