"""What `auth` refuses: settings by which anybody could come in, or nobody."""

import pytest

from aggregator.config import ConfigError, parse

SITE = "clusters: { narval: { slurmacct: { host: db1, user: u }, prometheus: { url: 'http://p:9090' } } }\n"
JWT = "issuer: a, audience: b"
URL = "jwks_url: 'https://sso.example.org/certs'"
SECRET = "hunter2" * 5
OIDC = f"issuer: 'https://sso.example.org', client_id: a, client_secret: {SECRET}"
OIDC_BY_HTTP = f"oidc: {{ issuer: 'http://sso.example.org', client_id: a, client_secret: {SECRET} }}"


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        (f"jwt: {{ {JWT} }}", "auth.jwt: needs the keys: jwks_url or jwks_file"),
        (
            f"jwt: {{ {JWT}, {URL}, jwks_file: x }}",
            "auth.jwt.jwks_url: jwks_file and jwks_url are both given, keep one",
        ),
        (f"jwt: {{ {JWT}, jwks_url: 'http://sso.example.org/certs' }}", "auth.jwt.jwks_url: must begin with https://"),
        (f"jwt: {{ {JWT}, {URL}, algorithms: [HS256] }}", "auth.jwt.algorithms[0]: must be RS256, RS384"),
        (f"jwt: {{ {JWT}, {URL}, algorithms: [none] }}", "auth.jwt.algorithms[0]: must be RS256, RS384"),
        (f"jwt: {{ {JWT}, {URL}, algorithms: [] }}", "auth.jwt.algorithms: must not be empty"),
        (f"jwt: {{ {JWT}, {URL}, leeway: 1h }}", "auth.jwt.leeway: must be a duration up to 10m"),
        (f"jwt: {{ {JWT}, {URL}, user_pattern: '.*' }}", "auth.jwt.user_pattern: must be a pattern with one group"),
        (f"jwt: {{ {JWT}, jwks_file: x, ca_file: y }}", "auth.jwt: ca_file has no effect without jwks_url"),
        (f"oidc: {{ {OIDC} }}", "auth.oidc: needs server.external_url"),
        ("oidc: { issuer: 'https://s', client_id: a }", "auth.oidc: needs the secret: client_secret_file or client_s"),
        (f"oidc: {{ {OIDC}, client_secret_file: x }}", "client_secret and client_secret_file are both given, keep one"),
        ("oidc: { issuer: 'https://s', client_id: a, client_secret: hunter2 }", "must have at least 32 characters"),
        (f"oidc: {{ {OIDC}, scopes: [profile] }}", 'auth.oidc.scopes: must have "openid"'),
        (f"oidc: {{ {OIDC}, algorithms: [HS256] }}", "auth.oidc.algorithms[0]: must be RS256, RS384"),
        (OIDC_BY_HTTP, "auth.oidc.issuer: must begin with https://"),
        ("staff: { groups: [hpc] }", "auth: staff.groups needs jwt.groups_claim or oidc.groups_claim"),
        ("client_certificates: { user: CN }", "auth.client_certificates.user: must be commonName, userId or email"),
    ],
)
def test_what_lets_in_anybody_or_nobody_is_a_mistake(auth: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(SITE + f"auth: {{ {auth} }}")
    assert told in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("url", ["https://sso.example.org/certs", "http://127.0.0.1:8080/certs", "http://[::1]/certs"])
def test_keys_come_over_tls_or_from_this_machine(url: str) -> None:
    auth = parse(SITE + f"auth: {{ jwt: {{ {JWT}, jwks_url: '{url}' }} }}").auth
    assert auth is not None
    assert auth.jwt is not None
    assert (auth.jwt.jwks_url, auth.jwt.algorithms) == (url, ("RS256", "ES256"))


def test_people_sign_in_where_the_issuer_finds_the_service_again() -> None:
    config = parse(f"server: {{ external_url: 'https://hpc.example.org/x/' }}\n{SITE}auth: {{ oidc: {{ {OIDC} }} }}")
    assert config.auth is not None
    assert config.auth.oidc is not None
    assert config.auth.oidc.secret.get() == SECRET
    assert (config.auth.oidc.scopes, config.auth.oidc.user_claim) == (("openid", "profile"), "preferred_username")
    assert "hunter2" not in repr(config) + str(config.model_dump(mode="json"))
