"""Policy as code: a file that says what policies, numbers and keys are to be; its difference to what is; its way in."""
