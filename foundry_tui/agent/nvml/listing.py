"""Which GPUs there are: what stands still of each, and an index that stands still too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foundry_tui.agent.nvml.driver import Code, Driver, Refused
from foundry_tui.agent.shapes import Device

GONE = Refused(Code.GPU_NOT_FOUND, "the driver no longer lists this GPU")


@dataclass
class Slot:
    """A place for a GPU: `refused` says why it cannot be read."""

    device: Device
    handle: Any = None
    refused: Refused | None = None


def list_devices(driver: Driver) -> list[Slot]:
    """Every device that the driver counts, also those that it then refuses.

    Raises:
        Refused: the devices cannot be counted.
    """
    return [_slot(driver, index) for index in range(driver.ask("nvmlDeviceGetCount"))]


def _slot(driver: Driver, index: int) -> Slot:
    slot = Slot(Device(index))
    device = slot.device
    try:
        slot.handle = driver.ask("nvmlDeviceGetHandleByIndex", index)
        device.uuid = _still(driver, "nvmlDeviceGetUUID", slot.handle)
        device.minor = _still(driver, "nvmlDeviceGetMinorNumber", slot.handle)
        device.model = _still(driver, "nvmlDeviceGetName", slot.handle)
        pci = _still(driver, "nvmlDeviceGetPciInfo", slot.handle)
        if pci is not None:
            device.pci_bus_id = f"{pci.domain:08X}:{pci.bus:02X}:{pci.device:02X}.0"
    except Refused as refused:
        slot.refused = refused
    return slot


def _still(driver: Driver, call: str, handle: Any) -> Any:
    try:
        return driver.ask(call, handle)
    except Refused as refused:
        if refused.code == Code.GPU_IS_LOST:
            raise
        return None


def settle(slots: list[Slot], known: dict[str, Device]) -> list[Slot]:
    """The slots with the indices under which their GPUs are `known`, and a slot for each gone one.

    NVML counts anew when a GPU has fallen off its bus, a scheduler does not. A GPU that nobody
    knows means other hardware: then NVML's count stands.
    """
    uuids = {slot.device.uuid for slot in slots if slot.device.uuid}
    if len(slots) > len(known) or not uuids <= known.keys():
        return slots
    if len(slots) == len(known):
        by_index = {device.index: device for device in known.values()}
        for slot in slots:
            if slot.device.uuid is None:
                slot.device = by_index.get(slot.device.index, slot.device)
        return slots
    slots = [slot for slot in slots if slot.device.uuid]  # the nameless are among the gone
    for slot in slots:
        slot.device.index = known[slot.device.uuid or ""].index
    gone = [Slot(device, refused=GONE) for uuid, device in known.items() if uuid not in uuids]
    return sorted(slots + gone, key=lambda slot: slot.device.index)
