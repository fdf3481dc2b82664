"""Certificates, tokens and kubeconfig files: private, complete, and the same after a restart."""

import base64
import stat

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from toban_sandbox.kube import auth, serve


@pytest.fixture
def written(tmp_path):
    certificates = serve.ensure_certificates(tmp_path)
    return certificates, serve.write_kubeconfigs(tmp_path, url="https://127.0.0.1:1", certificates=certificates)


def test_the_server_certificate_is_signed_by_the_authority_for_loopback(written):
    certificates, _ = written
    authority = x509.load_pem_x509_certificate(certificates.ca_pem)
    server = x509.load_pem_x509_certificate(certificates.server_certificate.read_bytes())
    server.verify_directly_issued_by(authority)
    assert isinstance(server.public_key(), ec.EllipticCurvePublicKey)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert "127.0.0.1" in [str(one) for one in names.get_values_for_type(x509.IPAddress)]


def test_secrets_are_readable_by_their_owner_only(tmp_path, written):
    certificates, kubeconfigs = written
    for path in (certificates.server_key, tmp_path / serve.TOKENS_FILE, *kubeconfigs.values()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_role_has_a_kubeconfig_with_its_own_token_and_the_authority(written):
    certificates, kubeconfigs = written
    assert set(kubeconfigs) == {"admin", "operator", "reader"}
    tokens = set()
    for role, path in kubeconfigs.items():
        config = yaml.safe_load(path.read_text())
        cluster = config["clusters"][0]["cluster"]
        assert cluster["server"] == "https://127.0.0.1:1"
        assert base64.b64decode(cluster["certificate-authority-data"]) == certificates.ca_pem
        assert config["users"][0]["name"] == role
        tokens.add(config["users"][0]["user"]["token"])
    assert len(tokens) == 3
    assert min(len(token) for token in tokens) >= 43


def test_a_restart_keeps_certificates_and_tokens(tmp_path, written):
    certificates, kubeconfigs = written
    before = certificates.ca_pem, kubeconfigs["operator"].read_text(), serve.ensure_users(tmp_path)
    again = serve.ensure_certificates(tmp_path)
    serve.write_kubeconfigs(tmp_path, url="https://127.0.0.1:1", certificates=again)
    assert (again.ca_pem, kubeconfigs["operator"].read_text(), serve.ensure_users(tmp_path)) == before


def test_tokens_lead_to_their_users(tmp_path, written):
    users = serve.ensure_users(tmp_path)
    token = yaml.safe_load(written[1]["reader"].read_text())["users"][0]["user"]["token"]
    assert auth.user_of_token(users, f"Bearer {token}") == auth.User("reader", "reader")
    assert auth.user_of_token(users, f"Bearer {token}x") is None
    assert auth.user_of_token(users, None) is None
