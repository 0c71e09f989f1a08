"""Opening the site: a saved estate, the demo, or the live sources that are configured or found."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.saved import read_estate
from foundry_tui.actions.site import Options, Site
from foundry_tui.actions.sources import live
from foundry_tui.actions.tracker import NONE_SET
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import load


def open_site(options: Options, tell: Callable[[str], None]) -> Site:
    """Find out what this host offers: a saved estate, the demo, configured or found sources.

    Where there is no scheduler, but GPUs of this host, a configured source of readings or a
    tracking server, these are the estate. The tracking server is not asked here: one that is
    silent is named by whoever asks it.

    Raises:
        WrongUse: the configuration or the saved estate cannot be read.
    """
    if options.estate is not None and options.demo:
        raise WrongUse("--estate and --demo exclude each other")
    try:
        loaded = load(options.config, os.environ)
        if loaded.config.keys:
            from foundry_tui.actions.keymap import key_map

            key_map(loaded.config, loaded.path)
    except ConfigError as error:
        raise WrongUse(str(error)) from error
    site = Site(options=options, config=loaded.config, mode="live", tell=tell)
    for warning in loaded.warnings:
        tell(warning)
    if options.estate is not None:
        site.mode, site.saved = "saved", read_estate(options.estate)
        return site
    if not options.demo:
        site.schedulers = live(site.config, site.clock)
        if site.schedulers:
            return site
        from foundry_tui.telemetry.nvml.source import gpus_here  # 15 ms that others need not pay

        if site.config.telemetry or gpus_here():
            site.tell("no scheduler was found on this host: only GPUs are shown (`foundry doctor`)")
            return site
        if site.tracker is not None:
            site.tell(
                f"no scheduler was found on this host: only the tracked runs of {site.tracker.url} "
                "are shown (`foundry doctor`; --demo shows a simulated estate)"
            )
            return site
        why = "" if site.untracked == NONE_SET else f", and {site.untracked}"
        site.tell(
            f"no scheduler was found on this host{why}: this is the simulated estate "
            "(`foundry doctor`)"
        )
    site = replace(site, mode="demo")  # anew: looking for a server has opened the real state folder
    _open_demo(site)
    return site


ROLE = "FOUNDRY_DEMO_ROLE"
"""Variable that makes the user of the simulated estate an administrator of its Slurm: `admin`."""


def _open_demo(site: Site) -> None:
    """The simulated estate, with its own time: it runs faster than the clock on the wall."""
    from foundry_tui.schedulers.simulated import build

    folder = None if site.cache is None else site.cache / "demo"
    sources = build(folder, site.clock, admin=os.environ.get(ROLE) == "admin")
    site.schedulers = {source.name: source for source in sources}
    site.clock = sources[0].now
