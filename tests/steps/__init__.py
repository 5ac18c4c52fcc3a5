"""The rules of the steps, claim by claim."""
