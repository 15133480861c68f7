"""Text tasks: abstracts sorted into classes, tokens tagged, by aligned and unaligned encoders."""
