"""Check pods against the restricted Pod Security Standard (Kubernetes 1.36), as far as we need."""

from __future__ import annotations

from typing import Any

VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def unrestricted(pod: dict[str, Any]) -> list[str]:
    """Return a pod's violations of the standard, as `container.field`."""
    violations = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    of_pod = pod.get("securityContext", {})
    violations += [
        f"volume {volume['name']}"
        for volume in pod.get("volumes", ())
        if not volume.keys() & VOLUMES
    ]
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind, ()):
            own = container.get("securityContext", {})
            both = of_pod | own
            profile = both.get("seccompProfile", {}).get("type")
            fields = {
                "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
                "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
                "runAsNonRoot": both.get("runAsNonRoot") is True,
                "runAsUser": both.get("runAsUser") != 0,
                "seccompProfile": profile in {"RuntimeDefault", "Localhost"},
                "privileged": not own.get("privileged"),
                "hostPort": not any("hostPort" in port for port in container.get("ports", ())),
            }
            violations += [
                f"{container['name']}.{name}" for name, valid in fields.items() if not valid
            ]
    return violations
