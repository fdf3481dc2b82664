"""Pictures as SVG, drawn from plain values. No markup from outside enters unescaped, and nothing lies outside the viewBox."""
