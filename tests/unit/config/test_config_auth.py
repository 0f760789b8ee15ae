"""What `auth` refuses: settings by which anybody could come in, or nobody."""

import pytest

from aggregator.config import ConfigError, parse

SITE = "clusters: { narval: { slurmacct: { host: db1, user: u }, prometheus: { url: 'http://p:9090' } } }\n"
JWT = "issuer: a, audience: b"
URL = "jwks_url: 'https://sso.example.org/certs'"


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
        ("staff: { groups: [hpc] }", "auth: staff.groups needs jwt.groups_claim"),
        ("client_certificates: { user: CN }", "auth.client_certificates.user: must be commonName, userId or email"),
    ],
)
def test_what_lets_in_anybody_or_nobody_is_a_mistake(auth: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(SITE + f"auth: {{ {auth} }}")
    assert told in str(error.value)


@pytest.mark.parametrize("url", ["https://sso.example.org/certs", "http://127.0.0.1:8080/certs", "http://[::1]/certs"])
def test_keys_come_over_tls_or_from_this_machine(url: str) -> None:
    auth = parse(SITE + f"auth: {{ jwt: {{ {JWT}, jwks_url: '{url}' }} }}").auth
    assert auth is not None
    assert auth.jwt is not None
    assert (auth.jwt.jwks_url, auth.jwt.algorithms) == (url, ("RS256", "ES256"))
