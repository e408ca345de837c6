"""Fitted models of Prophet (https://facebook.github.io/prophet) without Prophet."""
