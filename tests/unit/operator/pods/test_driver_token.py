"""Who gets a token: pods of TaskRuns under the account that the administrator named, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.builders import SETTINGS, run

from podtask_operator import settings
from podtask_operator.pods import build, driver_token

WITH = replace(SETTINGS, driver_account="podtask-driver")


@pytest.mark.parametrize(
    ("told", "account", "token"),
    {
        "the named account, where one is named": (WITH, "podtask-driver", True),
        "another account": (WITH, "default", False),
        "no account": (WITH, None, False),
        "the account, where none is named": (SETTINGS, "podtask-driver", False),
        "no account, where none is named": (SETTINGS, None, False),
    }.values(),
)
def test_a_token_for(told: settings.Settings, account: str | None, token: bool) -> None:
    built = build.build(run({"serviceAccountName": account}), 1, told)
    mounts = {mount["name"]: mount["mountPath"] for mount in built["spec"]["containers"][0]["volumeMounts"]}
    assert (driver_token.VOLUME in mounts) is token
    assert ("serviceAccountToken" in str(built)) is token
    assert built["spec"]["automountServiceAccountToken"] is False


def test_the_token_is_short_lived_and_read_only() -> None:
    built = build.build(run({"serviceAccountName": "podtask-driver"}), 1, WITH)
    volume = next(one for one in built["spec"]["volumes"] if one["name"] == driver_token.VOLUME)
    sources = {next(iter(one)): one for one in volume["projected"]["sources"]}
    assert sources.keys() == {"serviceAccountToken", "configMap", "downwardAPI"}
    assert sources["serviceAccountToken"]["serviceAccountToken"]["expirationSeconds"] == 3600
    mount = next(one for one in built["spec"]["containers"][0]["volumeMounts"] if one["name"] == driver_token.VOLUME)
    assert mount["readOnly"] is True


def test_the_account_is_named_by_a_setting() -> None:
    given = {settings.STORE: "s3://bucket/prefix", settings.RUNNER_IMAGES: '{"3.11": "image"}'}
    assert settings.load(given).driver_account == ""
    assert settings.load({**given, settings.DRIVER_ACCOUNT: "podtask-driver"}).driver_account == "podtask-driver"
