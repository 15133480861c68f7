"""What the joint space is used and judged by."""
