"""The named values a person keeps."""
