"""Signing in by the authorization code flow of OpenID Connect."""

from aggregator.api.oidc.issuer import Issuer
from aggregator.api.oidc.sign_on import BEGUN_SECONDS, CALLBACK, Begun, Client, NotBegun, SingleSignOn

__all__ = ["BEGUN_SECONDS", "CALLBACK", "Begun", "Client", "Issuer", "NotBegun", "SingleSignOn"]
