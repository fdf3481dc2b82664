"""PromQL over any set of series: lexer, parser, evaluator. Used by the metrics API and the alert rules; no HTTP."""
