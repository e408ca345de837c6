"""Run the tests and clients of other projects against `tidemill serve`."""
