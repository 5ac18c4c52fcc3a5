"""Serving a deployment's cities over HTTP: web workers under Granian, one process that follows, tokens for trials."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess

import click
import psycopg
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer
from litestar import Litestar

from api.app import application
from api.archiving import Packets
from api.asking import City, House, Masked
from api.operating import LOG, Lines
from api.problems import SandboxResetting
from api.pushing import Courier
from api.tokens import Verifier, mint
from archive import material
from archive.filing import Rendered
from archive.fourfold import Report
from archive.material import Edition, UseCopy
from archive.packet import Plan, Total
from archive.pdf import Printer
from domain.refusals import Refusal, Unavailable
from projections.answers import Projections
from projections.consumers import Consumers
from scripts import archiving, demo, desk, dossiers, embedded, files, jobs, wiring
from scripts.desk import city_option
from scripts.wiring import SettingError
from supervision.scheduler import LOG as SUPERVISION
from supervision.scheduler import scheduled

SERVED = "HUIYIN_SERVED"
"""How the workers are told which cities they serve: by name, with commas. Set by `huiyin serve`, not by anybody else."""

WATCHING = 0.3
"""Seconds between two looks whether a sandbox was reset."""

APPOINTING = 2.0
"""Seconds between two looks at who was appointed for informants."""

SWEEPING = 900.0
"""Seconds between two looks for files whose keys were destroyed."""

ENDING = signal.SIGUSR1
"""How workers are told that they are about to end: what goes on by itself would keep the server waiting for it."""

LOCAL = ("127.0.0.1", "localhost", "::1")


# --- in a worker -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """Open what a worker serves; at the end write what waits, then close."""
    database = await asyncio.to_thread(wiring.database)
    async with AsyncExitStack() as opened:
        cities: dict[str, City] = {}
        schemas = wiring.by_name(await wiring.cities(database))
        held: dict[str, AsyncExitStack] = {}
        for name in wiring.environment()[SERVED].split(","):
            held[name] = await opened.enter_async_context(AsyncExitStack())
            cities[name] = await _city(database, name, schemas[name], held[name])
        if any(city.sandbox for city in cities.values()):
            watch = asyncio.create_task(_keep_current(database, cities, held))
            opened.callback(watch.cancel)
        keys = asyncio.create_task(_keep_keyrings(cities))
        opened.callback(keys.cancel)
        gc.collect()
        gc.freeze()  # what is there by now stays: looking through it again and again finds nothing
        gc.set_threshold(20_000, 20, 50)
        verifier = Verifier(wiring.issuer(), wiring.process_now)
        printer = await opened.enter_async_context(Printer())
        tallies = opened.enter_context(wiring.tallies())
        served = House(
            cities,
            verifier,
            wiring.process_now,
            printer=printer,
            tallies=tallies,
            proxies=wiring.proxies(),
            reset=_reset,
            packets=_packets(printer),
            masked=_masked(printer),
            entropy=os.urandom,
        )
        asyncio.get_running_loop().add_signal_handler(ENDING, served.closing.set)
        yield served


def _packets(printer: Printer) -> Packets:
    """Return where packets are made that are asked for over HTTP."""

    async def forms(plan: Plan, total: Total, report: Report) -> list[tuple[str, bytes]]:
        return await archiving.beside(printer, plan, total, report)

    return Packets(wiring.packets_root, wiring.read_fonds, forms, wiring.scanner())


def _masked(printer: Printer) -> Masked:
    """Return what makes a case's masked file again: the same bytes as at the terminal, from the same history."""

    async def made(
        city: City,
        stream: str,
        upto: int,
        *,
        copy: UseCopy | None = None,
        edition: Edition = "masked",
        keys: Mapping[str, bytes] | None = None,
    ) -> Rendered:
        fonds = wiring.read_fonds(city.ledger.city)
        gatherer = dossiers.Gatherer(city.ledger, city.log, fonds, await printer.faces())
        two = await city.ledger.keys_of_two(stream)
        whole = await gatherer.gather(stream, edition, upto=upto, keys=keys, two_persons=two, copy=copy)
        return dossiers.bound([await dossiers.printed(one, printer) for one in material.split(whole)])

    return made


async def _city(database: embedded.Database, name: str, schema: str, opened: AsyncExitStack) -> City:
    ledger = await opened.enter_async_context(await wiring.open_city(database, schema))
    shown = await opened.enter_async_context(Projections(database.app, schema))
    log = await opened.enter_async_context(await wiring.open_log(database, ledger))
    return City(name, ledger, shown, wiring.files_of(ledger), log, sandbox=bool(wiring.turn_of(schema)[1]))


async def _keep_current(database: embedded.Database, cities: dict[str, City], held: dict[str, AsyncExitStack]) -> None:
    """Serve of each sandbox the one that was made last: open it when it is there, and close the one that is no more."""
    while True:
        await asyncio.sleep(WATCHING)
        try:
            schemas = wiring.by_name(await wiring.cities(database))
            for name, city in list(cities.items()):
                schema = schemas.get(name)
                if city.sandbox and schema is not None and schema != city.ledger.city:
                    opened = AsyncExitStack()
                    cities[name] = await _city(database, name, schema, opened)
                    before, held[name] = held[name], opened
                    await before.aclose()
        except (Refusal, psycopg.Error, OSError, SettingError) as error:  # in the middle of a reset; soon again
            LOG.warning("sandboxes: %s", type(error).__name__)


async def _keep_keyrings(cities: Mapping[str, City]) -> None:
    """Let whoever was appointed for informants take part from now on; what cannot be read leaves it as it was."""
    while True:
        await asyncio.sleep(APPOINTING)
        for city in list(cities.values()):
            try:
                city.ledger.take(await asyncio.to_thread(wiring.read_keyring, city.ledger.city))
            except (Refusal, OSError, SettingError) as error:
                LOG.warning("keys of %s: %s", city.name, type(error).__name__)


async def _reset(name: str) -> None:
    """Reset a sandbox, in a process of its own: it is made of many events, and nobody else shall wait for them.

    Raises SandboxResetting, and Unavailable where it could not be done.
    """
    words = (sys.executable, "-m", "scripts.huiyin", "sandbox", "reset", name, "--json")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdout=quiet, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        LOG.error("reset of %s: %s", name, process.returncode)
        raise SandboxResetting(name) if SandboxResetting.code().encode() in said else Unavailable(name)


def _log_lines() -> None:
    """Let the service's log be lines of JSON on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for log in (LOG, SUPERVISION):
        log.handlers[:] = [handler]
        log.propagate = False
        log.setLevel(wiring.log_level())


def app() -> Litestar:
    """Return the application of one worker, as Granian asks for it."""
    _log_lines()
    return application(house, fresh=wiring.fresh)


# --- the one that follows ----------------------------------------------------------------------------------------


def follow(cities: Sequence[str], parent: int) -> None:
    """Follow the ledgers of cities until told to end, or until whoever started this is gone. Callers come first."""
    os.nice(5)
    _log_lines()
    asyncio.run(_follow(cities, parent))


async def _follow(cities: Sequence[str], parent: int) -> None:
    database = await asyncio.to_thread(wiring.database)
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    schemas = {name: schema for name, schema in wiring.by_name(await wiring.cities(database)).items() if name in cities}
    async with AsyncExitStack() as opened:
        followed = list(schemas.values())
        shown = [await opened.enter_async_context(Projections(database.app, schema)) for schema in followed]
        holder = f"serve:{os.getpid()}:{wiring.fresh()}"
        at_times = jobs.jobs(database, shown, wiring.sweep_every())
        await opened.enter_async_context(scheduled(at_times, first=wiring.process_now()))
        tasks = [asyncio.create_task(tables.keep_following(holder, idle=0.05)) for tables in shown]
        tasks += [asyncio.create_task(_keep_swept(database, followed))]
        tasks += [asyncio.create_task(_keep_telling(database, schema, holder)) for schema in followed]
        sandboxes = any(wiring.turn_of(schema)[1] for schema in followed)
        while not end.is_set() and os.getppid() == parent and not any(task.done() for task in tasks):
            if sandboxes and await _moved(database, schemas):
                break
            try:
                await asyncio.wait_for(end.wait(), 0.5)
            except TimeoutError:
                continue
        for task in tasks:
            task.cancel()
        moved = sandboxes and await _moved(database, schemas)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not moved:  # a sandbox that was reset has no tables any more
                raise outcome


async def _keep_telling(database: embedded.Database, name: str, holder: str) -> None:
    """Tell other systems what their agreements let them know; a city that tells nobody takes no session."""
    endpoints = partial(wiring.read_endpoints, name)
    while True:
        try:
            if endpoints():
                async with await wiring.open_city(database, name) as ledger, Consumers(database.app, name) as consumers:
                    manner = wiring.manner()
                    courier = Courier(
                        ledger, consumers, endpoints, holder=holder, now=wiring.process_now, manner=manner
                    )
                    await courier.keep_telling()
        except (Refusal, SettingError, psycopg.Error, OSError) as error:  # the next time, perhaps
            LOG.warning("telling consumers of %s: %s", name, type(error).__name__)
        await asyncio.sleep(1.0)


async def _moved(database: embedded.Database, schemas: Mapping[str, str]) -> bool:
    """Tell whether one of the cities is another one by now: then this process ends, and the next one follows that."""
    now = wiring.by_name(await wiring.cities(database))
    return any(now.get(name) != schema for name, schema in schemas.items())


async def _keep_swept(database: embedded.Database, schemas: Sequence[str]) -> None:
    """Remove the files of cases that were erased, every quarter of an hour, one city after the other."""
    while True:
        for schema in schemas:
            try:
                async with await wiring.open_city(database, schema) as ledger:
                    await files.sweep(ledger, wiring.files_of(ledger), wiring.process_now().timestamp())
            except (Refusal, psycopg.Error, OSError) as error:  # the next time, perhaps
                LOG.warning("files of %s: %s", schema, type(error).__name__)
        await asyncio.sleep(SWEEPING)


# --- commands ----------------------------------------------------------------------------------------------------


@click.command("serve")
@click.option("--city", "cities", multiple=True, help="城市 a city to serve (repeatable); without: every one there is.")
@click.option("--host", default="127.0.0.1", show_default=True, help="地址 the address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8012, show_default=True, help="端口 the port.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="进程 web workers.")
@click.option("--demo", "with_demo", is_flag=True, help="演示 make the demo's city first, where there is none.")
def serve_command(cities: tuple[str, ...], host: str, port: int, workers: int, with_demo: bool) -> None:
    """启动接口服务: serve cities over HTTP, and keep their tables up to date.

    Ends with Ctrl-C or SIGTERM, after what was accepted has been written. TLS is the proxy's in front.
    """
    database = wiring.database()
    there = wiring.by_name(desk.run_async(wiring.cities(database)))
    if with_demo and demo.CITY not in there:
        demo.demo_command.main(["--simulated"], standalone_mode=False)
        there = wiring.by_name(desk.run_async(wiring.cities(database)))
    served = list(cities or ([demo.CITY] if with_demo else there))
    if not served:
        raise SettingError("还没有城市 no city yet; 请先 run first: huiyin init CITY --policy S0")
    for name in served:
        if name not in there:
            raise SettingError(f"没有此城市 no such city: {name}; 已有 there are: {', '.join(there)}")
        wiring.read_keyring(there[name])  # said here, where somebody reads it, and not in a worker
    wiring.issuer()
    wiring.proxies()
    wiring.sweep_every()
    if host not in LOCAL:
        click.echo(
            f"注意 note: {host} 未加密 is not encrypted; 请置于 TLS 代理之后 put it behind a proxy with TLS", err=True
        )
    desk.run_async(_tables_made(database, [there[name] for name in served]))
    _say(served, host, port)
    _run(served, host, port, workers)


async def _tables_made(database: embedded.Database, served: Sequence[str]) -> None:
    """Make the tables of cities that have none, before several processes would at once."""
    for name in served:
        async with Projections(database.app, name):
            pass


def _say(served: Sequence[str], host: str, port: int) -> None:
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"✓ {where}  {', '.join(served)}  (说明 docs: {where}/docs)")
    if not wiring.environment().get("HUIYIN_ISSUER"):
        example = f"scripts/run token manager/hotline_manager@HOTLINE --city {served[0]}"
        click.echo(f"  令牌 a token: {example}")
        click.echo(f'  curl -H "Authorization: Bearer $({example})" {where}/v1/{served[0]}/orders')


class Following:
    """The process that follows, started again whenever it ends before it should."""

    def __init__(self, cities: Sequence[str]) -> None:
        self._cities = cities
        self._ending = threading.Event()
        self._process = self._started()
        self._watch = threading.Thread(target=self._watched, name="following", daemon=True)
        self._watch.start()

    def _started(self) -> BaseProcess:
        process = multiprocessing.get_context("spawn").Process(target=follow, args=(self._cities, os.getpid()))
        process.start()
        return process

    def _watched(self) -> None:
        pause = 0.5
        while not self._ending.is_set():
            self._process.join(1)
            if self._process.is_alive():
                pause = 0.5
            elif not self._ending.wait(pause):
                ended = self._process.exitcode
                LOG.log(logging.ERROR if ended else logging.INFO, "following ended with %s and begins again", ended)
                pause = min(pause * 2, 30.0)
                self._process = self._started()

    def end(self) -> None:
        """End it, and wait until it has."""
        self._ending.set()
        self._watch.join(5)
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(30)


class Server(MPServer):
    """The server, which lets its workers close what goes on by itself before they are told to end."""

    def shutdown(self, exit_code: int = 0) -> None:
        """Say so, then end."""
        for worker in multiprocessing.active_children():
            if worker.name == "granian-worker" and worker.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, ENDING)
        super().shutdown(exit_code)


def _run(served: Sequence[str], host: str, port: int, workers: int) -> None:
    os.environ[SERVED] = ",".join(served)
    _log_lines()
    following = Following(served)
    try:
        server = Server(
            "scripts.serving:app",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            factory=True,
            backlog=2048,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=60,
            websockets=False,
        )
        server.serve()
    finally:
        following.end()


@click.command("token")
@click.argument("who", metavar="USER/ROLE[@UNIT]")
@click.option("--hours", type=click.FloatRange(0.01, 24 * 30), default=12.0, show_default=True, help="有效 how long.")
@click.option("--scope", default="", help="权限 scopes: feed, import.")
@click.option("--order", "orders", multiple=True, metavar="ID", help="诉求人的工单 a citizen's order (repeatable).")
@click.option("--role", "more", multiple=True, metavar="ROLE[@UNIT]", help="另一角色 a further role (repeatable).")
@city_option
def token_command(
    who: str, hours: float, scope: str, orders: tuple[str, ...], more: tuple[str, ...], city: str | None
) -> None:
    """签发令牌: mint a token of the local issuer, for trials.

    It says who somebody is; whether they hold the role is asked of the city's registry at every request.
    """
    if wiring.environment().get("HUIYIN_ISSUER"):
        raise SettingError("已设 HUIYIN_ISSUER, 令牌由其签发 tokens come from the issuer that is set")
    actor = desk.parse_actor(who)
    database = wiring.database()
    name = desk.run_async(desk.the_name(database, city))
    roles = [f"{actor.role}@{actor.unit}" if actor.unit else str(actor.role), *more]
    token = mint(
        wiring.issuer_key(),
        issuer=wiring.LOCAL_ISSUER,
        now=wiring.process_now(),
        lasting=timedelta(hours=hours),
        user=actor.user,
        roles=roles,
        cities=[name],
        orders=orders,
        scope=scope,
        audience=wiring.issuer().audience,
    )
    click.echo(token)


COMMANDS = (serve_command, token_command)
