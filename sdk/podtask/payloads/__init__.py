"""What a call is made of when it travels: arguments, code, the policy for modules, identities."""
