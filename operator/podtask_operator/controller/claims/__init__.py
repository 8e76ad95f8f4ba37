"""An attempt takes an idle pod of a WarmPool: claim, renew, release."""
