"""The version of Tarry: the one place that says it, for the build as well."""

VERSION = "0.1.0"
