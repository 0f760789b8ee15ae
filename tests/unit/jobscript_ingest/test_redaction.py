"""Secrets do not leave the host; everything else does, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobscript_ingest.redact import MARGIN_BYTES, Pattern, Rule, redact
from jobscript_ingest.rules import load_rules

RULES = load_rules()
WHOLE = 2**22
GITHUB = "ghp_" + "aB3" * 12
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb/nNz+aC1=\nQyNTU\n-----END OPENSSH PRIVATE KEY-----"

# Each line holds one secret, S3cr3t unless it has a shape of its own, and what is left of the line.
SECRETS = [
    ("secret_variable", "export HF_TOKEN=S3cr3t", "export HF_TOKEN=<redacted>"),
    ("secret_variable", "HF_TOKEN=S3cr3t python x.py", "HF_TOKEN=<redacted> python x.py"),
    ("secret_variable", 'export DB_PASSWORD="S3cr3t with spaces"; ls', 'export DB_PASSWORD="<redacted>"; ls'),
    ("secret_variable", "export my_passwd='S3cr3t'", "export my_passwd='<redacted>'"),
    ("secret_variable", "WANDB_API_KEY=ab\"S3cr3t c\"'d e'\\ f; x", "WANDB_API_KEY=<redacted>; x"),
    ("secret_variable", 'PASSWORD="$USER-S3cr3t"', 'PASSWORD="<redacted>"'),
    ("secret_variable", "AWS_SECRET_ACCESS_KEY=/S3cr3t/x+", "AWS_SECRET_ACCESS_KEY=<redacted>"),
    ("secret_variable", 'PASSWORD="S3cr3t and no"', 'PASSWORD="<redacted>"'),
    ("secret_variable", 'PASSWORD="S3cr3t $HOME"', 'PASSWORD="<redacted>"'),
    ("secret_variable", 'PASSWORD="S3cr3t_file x"', 'PASSWORD="<redacted>"'),
    ("secret_variable", 'API_KEY="the KEY 12"', 'API_KEY="<redacted>"'),
    ("secret_variable", 'TOKEN="S3cr3t is not closed', "TOKEN=<redacted>"),
    ("secret_variable", 'export TOKEN="S3cr3t\nmore"; x', 'export TOKEN="<redacted>\n"; x'),
    ("secret_variable", "#SBATCH --export=ALL,API_KEY=S3cr3t", "#SBATCH --export=ALL,API_KEY=<redacted>"),
    ("secret_variable", "# was PASSWORD=S3cr3t", "# was PASSWORD=<redacted>"),
    ("secret_variable", "PASSWORD=123456789", "PASSWORD=<redacted>"),
    ("secret_variable", "curl https://x/?api_key=S3cr3t&y=1", "curl https://x/?api_key=<redacted>&y=1"),
    ("secret_variable", "login(token='S3cr3t')", "login(token='<redacted>')"),
    ("option", "run --password=S3cr3t now", "run --password=<redacted> now"),
    ("setenv", "setenv MY_SECRET S3cr3t", "setenv MY_SECRET <redacted>"),
    ("default_value", "x=${TOKEN:-S3cr3t}", "x=${TOKEN:-<redacted>}"),
    ("option", "run --api-key=S3cr3t now", "run --api-key=<redacted> now"),
    ("option", "run --db-pass 'S3cr3t_file no' now", "run --db-pass '<redacted>' now"),
    ("option", "run --auth-token 'S3cr3t' now", "run --auth-token '<redacted>' now"),
    ("field", '{"password": "S3cr3t", "user": "x"}', '{"password": "<redacted>", "user": "x"}'),
    ("field", "  db_password: S3cr3t", "  db_password: <redacted>"),
    ("field", "api_key = S3cr3t", "api_key = <redacted>"),
    ("assignment", "api_key = 'S3cr3t'", "api_key = '<redacted>'"),
    ("assignment", 'os.environ["HF_TOKEN"] = "S3cr3t"', 'os.environ["HF_TOKEN"] = "<redacted>"'),
    ("vague_assignment", 'connect(pw = "S3cr3t 1")', 'connect(pw = "<redacted>")'),
    ("vague_variable", "DB_PW=S3cr3t/77", "DB_PW=<redacted>"),
    ("vague_option", "run --wandb-key 0a1bS3cr3t", "run --wandb-key <redacted>"),
    ("array_element", "c=([password]=S3cr3t [user]=me)", "c=([password]=<redacted> [user]=me)"),
    ("set_command", "set -gx API_TOKEN S3cr3t", "set -gx API_TOKEN <redacted>"),
    ("call", 'os.putenv("HF_TOKEN", "S3cr3t 1")', 'os.putenv("HF_TOKEN", "<redacted>")'),
    ("password_file", "db.x.org:5432:lab:me:S3cr3t", "db.x.org:5432:lab:me:<redacted>"),
    ("url_query", "curl 'https://x/?key=0a1bS3cr3t&y=1'", "curl 'https://x/?key=<redacted>&y=1'"),
    ("cookie", "curl -H 'Cookie: sid=S3cr3t' x", "curl -H 'Cookie: <redacted>' x"),
    ("archive_password", "zip -r -P S3cr3t a.zip d", "zip -r -P <redacted> a.zip d"),
    ("client_password", "redis-cli -a S3cr3t ping", "redis-cli -a <redacted> ping"),
    ("url_password", "git clone https://me:S3cr3t@host/x.git", "git clone https://me:<redacted>@host/x.git"),
    ("url_password", "postgresql://u:S3@cr3t@db:5432/x", "postgresql://u:<redacted>@db:5432/x"),
    (
        "authorization_header",
        'curl -H "Authorization: Bearer S3cr3t" x',
        'curl -H "Authorization: Bearer <redacted>" x',
    ),
    ("authorization_header", "curl -H 'authorization: Basic UzNj' x", "curl -H 'authorization: Basic <redacted>' x"),
    ("authorization_header", "curl -H 'X-Api-Key: S3cr3t' x", "curl -H 'X-Api-Key: <redacted>' x"),
    ("mysql_password", "mysql -u root -pS3cr3t db", "mysql -u root -p<redacted> db"),
    ("sshpass", "sshpass -p S3cr3t ssh host", "sshpass -p <redacted> ssh host"),
    ("login_password", "docker login -u me -p S3cr3t reg", "docker login -u me -p <redacted> reg"),
    ("curl_user", "curl -s -u me:S3cr3t https://x", "curl -s -u me:<redacted> https://x"),
    ("curl_user", "curl http://h:$PORT -u $USER:S3cr3t x", "curl http://h:$PORT -u $USER:<redacted> x"),
    ("command_key", "openssl enc -pass pass:S3cr3t -in x", "openssl enc -pass pass:<redacted> -in x"),
    ("command_key", "wandb login " + "0a" * 20, "wandb login <redacted>"),
    ("standard_input", "echo S3cr3t | sudo -S ls", "echo <redacted> | sudo -S ls"),
    ("netrc", "machine x.org login me password S3cr3t", "machine x.org login me password <redacted>"),
    ("netrc", "machine x.org\n  login me\n  password S3cr3t\n", "machine x.org\n  login me\n  password <redacted>\n"),
    ("private_key", KEY, KEY.split("\n")[0] + "<redacted>\n\n\n-----END OPENSSH PRIVATE KEY-----"),
    ("aws_key", "x AKIAABCDEFGHIJKLMNOP y", "x <redacted> y"),
    ("github_token", f"x {GITHUB} y", "x <redacted> y"),
    ("gitlab_token", "x glpat-abcdefghijklmnop_-12 y", "x <redacted> y"),
    ("slack_token", "x xoxb-123456789012-abcdef y", "x <redacted> y"),
    ("web_hook", "https://hooks.slack.com/services/T000/B000/abcdef", "https://hooks.slack.com/services/<redacted>"),
    ("huggingface_token", "x hf_" + "aB" * 17 + " y", "x <redacted> y"),
    ("model_service_key", "x sk-proj-abcdefghijklmnopqrst y", "x <redacted> y"),
    ("service_token", "x npm_" + "aB3" * 12 + " y", "x <redacted> y"),
    ("json_web_token", "x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln y", "x <redacted> y"),
]

NO_SECRETS = [
    *("export HF_TOKEN=$TOKEN", 'export HF_TOKEN="$TOKEN"', "export HF_TOKEN=${TOKEN}", "PASSWORD=$1", "X_SECRET='$Y'"),
    *("HF_TOKEN=$(cat tokenfile)", 'HF_TOKEN="$(cat "$HOME/my token")"', "HF_TOKEN=`cat x`", "HF_TOKEN=$(< ~/.token)"),
    *("export TOKENIZERS_PARALLELISM=false", "export NUM_TOKENS=4096", "MAX_TOKENS=5", "MAX_TOKEN=512"),
    *('run --pad_token="[PAD]" --eos-token "</s>"', "run --max-token 4096", "BOS_TOKEN='<s>'", "TOKEN_LIMIT=8192"),
    *("TOKEN_FILE=/home/u/token", "run --password-file /x", "run --password-stdin", "PASSWORD_STORE_DIR=/x"),
    *(
        "GOOGLE_APPLICATION_CREDENTIALS=/home/u/key.json",
        "export PASSWORD",
        "PASSWORD=",
        'PASSWORD=""',
        "USE_TOKEN=true",
    ),
    *("${TOKEN:?is not set}", "${TOKEN:-$OTHER}", "x=${TOKEN}", 'if [ "$PASSWORD" = "" ]; then exit; fi'),
    *("read -s -p 'Password: ' PASSWORD", "setenv TOKEN $X", '"password": ""', "password: please give your password"),
    *("https://u:$PASS@host/", "git@github.com:a/b", "rsync -a host:/x@y .", "http://host:8080/a@b", "scp a@b:c ."),
    *(
        'curl -H "Authorization: Bearer $TOKEN" x',
        'curl -H "X-Api-Key: ${KEY}" x',
        "curl -u me https://x",
        "curl -u me:$P x",
    ),
    *("mkdir -p /tmp/x", "ssh -p 22 host", "srun -p gpu hostname", "#SBATCH -p largemem", "mysql -u root -p db"),
    *("mysql -p$PW db", "docker run -p 80:80 x", "sshpass -p $PW ssh h", "echo $PW | sudo -S ls", "echo hello | sort"),
    *(
        "tokenizer.pad_token = tokenizer.eos_token",
        "password = args.password",
        "task-list",
        "disk-usage-of-this-long-name",
    ),
    'grep -q "-----BEGIN RSA PRIVATE KEY-----" $f && echo yes',
    "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----",
]


@pytest.mark.parametrize(("rule", "text", "wanted"), SECRETS)
def test_a_secret_is_hidden_and_the_rest_of_its_line_stays(rule: str, text: str, wanted: str) -> None:
    redacted = redact(f"a\n{text}\nz\n".encode(), RULES, WHOLE)

    assert redacted.content.decode() == f"a\n{wanted}\nz\n"
    assert dict(redacted.counts) == {rule: 1}


def test_every_rule_has_an_example() -> None:
    assert {rule for rule, _, _ in SECRETS} == {rule.name for rule in RULES}


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_no_secret_survives(text: str) -> None:
    redacted = redact(f"a\n{text}\nz\n".encode(), RULES, WHOLE)

    assert (redacted.content.decode(), redacted.total) == (f"a\n{text}\nz\n", 0)


def test_nothing_is_nothing() -> None:
    assert redact(b"", RULES, WHOLE).content == b""


def test_bytes_that_are_no_utf8_stay_and_do_not_hide_a_secret() -> None:
    redacted = redact(b"# caf\xe9\xff\nPASSWORD=\xe9S3cr3t\xff; echo \xe9\r\n", RULES, WHOLE)

    assert redacted.content == b"# caf\xe9\xff\nPASSWORD=<redacted>; echo \xe9\r\n"


def test_many_secrets_of_a_line_are_hidden_and_counted_each() -> None:
    redacted = redact(b"A_TOKEN=S3cr3t B_SECRET=S3cr3t curl https://u:S3cr3t@x\n", RULES, WHOLE)

    assert redacted.content == b"A_TOKEN=<redacted> B_SECRET=<redacted> curl https://u:<redacted>@x\n"
    assert dict(redacted.counts) == {"secret_variable": 2, "url_password": 1}


def test_a_secret_that_two_rules_find_is_counted_once() -> None:
    redacted = redact(f"GITHUB_TOKEN={GITHUB}".encode(), RULES, WHOLE)

    assert (redacted.content, redacted.total) == (b"GITHUB_TOKEN=<redacted>", 1)


@pytest.mark.parametrize("limit", range(10, 60, 7))
def test_a_secret_across_the_cut_leaves_no_part_of_itself(limit: int) -> None:
    text = b"#" * 30 + f"\nx {GITHUB} y".encode()
    assert len(text) < limit + MARGIN_BYTES

    content = redact(text, RULES, limit).content

    assert len(content) <= limit
    assert b"aB3" not in content


def test_the_cut_is_at_the_limit() -> None:
    assert redact(b"0123456789", RULES, 4).content == b"0123"


_PARTS = [text for _, text, _ in SECRETS] + NO_SECRETS + ['"', "'", "\\", "=", "$(", "`", "TOKEN", "-----", "\r", "<"]
_HOSTILE = st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([part.encode() for part in _PARTS])), max_size=12)


@given(_HOSTILE.map(b"\n".join))
def test_lines_are_as_many_as_before(text: bytes) -> None:
    assert redact(text, RULES, WHOLE).content.count(b"\n") == text.count(b"\n")


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_what_surrounds_a_token_on_its_line_of_its_own_survives_where_nothing_is_secret(
    before: bytes, after: bytes
) -> None:
    """The rest is kept byte for byte."""
    rule = Rule("token", Pattern(r"\b(ghp_[A-Za-z0-9]{36})\b"))

    content = redact(before + b"\n" + GITHUB.encode() + b"\n" + after, (rule,), WHOLE).content

    assert content == before + b"\n<redacted>\n" + after


@given(_HOSTILE.map(b"\n".join), st.integers(0, 300))
def test_the_result_is_never_longer_than_the_limit(text: bytes, limit: int) -> None:
    assert len(redact(text, RULES, limit).content) <= limit


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "unit",
    ["A", "TOKEN_", "TOKEN=", 'TOKEN="', "TOKEN=$(", "${TOKEN:-", "$(", "a://", "a://b:", "mysql ", "mysql -p", "eyJ.",
     "machine a ", "set -x TOKEN ", "[token]=", "{token: ", 'x("TOKEN", ', '\nTOKEN="\n', "zip -P ", "openssl -k ",
     "echo -----BEGIN PRIVATE KEY-----\necho a\n", "?key=", "docker login ", "sshpass -p",
     "-----BEGIN PRIVATE KEY-----", "authorization: ", "\\", "`", "\0", "\n", "login a\n", "password: ",
     '"password": "', "echo ", "--token ", "curl -u "],
)  # fmt: skip
def test_a_hostile_script_takes_time_in_proportion_to_its_length(unit: str) -> None:
    """Backtracking over this many bytes would not end before the machine does."""
    text = (unit * (2**19 // len(unit))).encode()

    redacted = redact(text, RULES, WHOLE)

    assert redacted.content.count(b"\n") == text.count(b"\n")
