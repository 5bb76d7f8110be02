"""Strangers' files are opened by a child process: bounded in time, memory and output, and nobody waits for
another's file.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import layoutllm_tool
from layoutllm_tool.documents import Limits, Page, load_document
from layoutllm_tool.documents.images import count_directories, normalised
from layoutllm_tool.documents.page_frames import BAND, CHANNELS
from layoutllm_tool.documents.parser_child import START_SECONDS, ParserChild, _path
from layoutllm_tool.documents.parser_process import POOL, ParserPool
from layoutllm_tool.documents.parser_worker import LENGTH
from layoutllm_tool.documents.parsing import ParseRequest, parse
from layoutllm_tool.errors import DocumentError, DocumentTooLarge, DocumentUnreadable, PageOutOfRange
from tests.documents import hostile
from tests.paths import SHARED
from tests.pdfs import make_pdf, text

HONEST = make_pdf(text("Invoice 42", 72, 700), text("Total: 9.00", 72, 600))
MEBIBYTE = 2**20


def request(**limits: float) -> ParseRequest:
    return ParseRequest("a.pdf", None, Limits(**limits))  # type: ignore[arg-type]


@pytest.fixture
def pool() -> Iterator[ParserPool]:
    made = ParserPool(most=3)
    yield made
    for pid in made.pids():
        os.kill(pid, signal.SIGKILL)


def wait_for(condition: Callable[[], object]) -> None:
    """Until it holds; pytest's own limit ends a test in which it never does."""
    turn = threading.Event()
    while not condition():
        turn.wait(0.01)


# -- the same pages ------------------------------------------------------------------------------------------


def picture(kind: str, mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def samples() -> list[bytes]:
    made = [
        HONEST,
        picture("PNG"),
        picture("JPEG", "L"),
        picture("TIFF", "CMYK"),
        picture("WEBP"),
        picture("GIF", "P"),
    ]
    files = sorted((SHARED / "cases").rglob("*.p[dn][fg]"))[::9] if SHARED.is_dir() else []
    return made + [file.read_bytes() for file in files]


def test_pages_through_the_child_are_those_of_the_parser_itself(pool: ParserPool) -> None:
    for data in samples():
        total, *direct = parse(data, request())
        assert pool.parse(data, request()) == (total, direct)
        for one, other in zip(direct, pool.parse(data, request())[1], strict=True):
            assert isinstance(one, Page) and one.image is not None and other.image is not None
            assert one.image.mode == other.image.mode and one.image.tobytes() == other.image.tobytes()


def test_errors_travel_with_their_kind_and_their_hint(pool: ParserPool) -> None:
    for data, wanted in ((b"%PDF-1.7 nothing", None), (picture("PNG")[:90], None), (HONEST, (3,))):
        asked = ParseRequest("name \udcff.pdf", wanted, Limits())
        with pytest.raises(DocumentError) as direct:
            list(parse(data, asked))
        with pytest.raises(type(direct.value)) as travelled:
            pool.parse(data, asked)
        assert str(travelled.value) == str(direct.value)
        assert len(pool.pids()) == 1


def test_one_child_serves_one_document_after_another(pool: ParserPool) -> None:
    pool.parse(HONEST, request())
    first = pool.pids()
    pool.parse(HONEST, request())
    assert pool.pids() == first and len(first) == 1


def test_the_child_loads_neither_torch_nor_langchain(pool: ParserPool) -> None:
    code = (
        "import sys; from layoutllm_tool.documents import parser_worker; "
        "parser_worker._preload(); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"PIL", "pypdfium2"} <= set(loaded)
    assert not {"torch", "transformers", "langchain_core", "langgraph", "pydantic"} & set(loaded)


# -- time ----------------------------------------------------------------------------------------------------


def test_a_page_that_is_never_drawn_is_given_up_and_keeps_nobody_waiting(pool: ParserPool) -> None:
    """The hostile ones are given all the time there is: only the honest ones' coming back ends them."""
    with ThreadPoolExecutor(2) as threads:
        stuck = [
            threads.submit(
                pool.parse, hostile.nested_forms(), request(page_seconds=200, document_seconds=200)
            )
            for _ in range(2)
        ]
        wait_for(lambda: len(pool.pids()) == 2)
        bad = set(pool.pids())
        for _ in range(3):
            assert pool.parse(HONEST, request())[0] == 2
        assert not any(one.done() for one in stuck)
        for pid in bad:
            os.kill(pid, signal.SIGKILL)
        for one in stuck:
            with pytest.raises(DocumentUnreadable, match="can't be opened"):
                one.result()
    assert pool.parse(HONEST, request())[0] == 2


@pytest.mark.parametrize("limits", [{"page_seconds": 0.5}, {"document_seconds": 0.5}])
def test_time_that_is_over_is_a_clear_refusal_and_a_new_child(
    pool: ParserPool, limits: dict[str, float]
) -> None:
    pool.parse(HONEST, request())  # the child is warm: its start has an allowance of its own
    before = pool.pids()
    with pytest.raises(DocumentTooLarge, match="takes longer than"):
        pool.parse(hostile.nested_forms(), request(**limits))
    assert not any(map(psutil.pid_exists, before))
    assert pool.parse(HONEST, request())[0] == 2 and pool.pids() != before


def parse_side_by_side(pool: ParserPool) -> int:
    """Two documents, neither of which ends before both have begun. The most children seen."""
    both = threading.Barrier(2)

    class Slow(ParseRequest):
        def to_json(self) -> dict[str, object]:
            both.wait()
            return super().to_json()

    asked = Slow("a.pdf", None, Limits())
    with ThreadPoolExecutor(2) as threads:
        found = [one.result() for one in [threads.submit(pool.parse, HONEST, asked) for _ in range(2)]]
    assert [total for total, _ in found] == [2, 2]
    return len(pool.pids())


def test_at_most_so_many_children(pool: ParserPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: (pool.parse(HONEST, request())[0], len(pool.pids())), range(24)))
    assert {total for total, _ in found} == {2} and max(count for _, count in found) <= 3


def test_idle_children_are_used_again(pool: ParserPool) -> None:
    assert parse_side_by_side(pool) == 2
    before = set(pool.pids())
    assert parse_side_by_side(pool) == 2 and set(pool.pids()) == before


def test_all_idle_children_but_one_end_after_a_while() -> None:
    made = ParserPool(most=3, idle_seconds=0.01)
    parse_side_by_side(made)
    wait_for(lambda: len(made.pids()) == 1)
    assert made.parse(HONEST, request())[0] == 2
    for pid in made.pids():
        os.kill(pid, signal.SIGKILL)


def test_starting_early_waits_for_nothing(pool: ParserPool) -> None:
    pool.warm()
    first = pool.pids()
    pool.warm()
    assert len(first) == 1 and pool.pids() == first
    pool.parse(HONEST, request())
    assert pool.pids() == first
    with ThreadPoolExecutor(3) as threads:
        stuck = [
            threads.submit(pool.parse, hostile.nested_forms(), request(page_seconds=200)) for _ in range(3)
        ]
        wait_for(lambda: len(pool.pids()) == 3)
        pool.warm()  # comes back, though every child is busy
        assert not any(one.done() for one in stuck) and len(pool.pids()) == 3
        for pid in pool.pids():
            os.kill(pid, signal.SIGKILL)
    assert all(isinstance(one.exception(), DocumentUnreadable) for one in stuck)


def test_a_start_has_a_time_of_its_own_and_lends_none_to_the_document(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    kept = ParserChild._deadline

    def noted(self: ParserChild, seconds: float, **options: float) -> AbstractContextManager[None]:
        given.append(seconds)
        return kept(self, seconds, **options)

    monkeypatch.setattr(ParserChild, "_deadline", noted)
    pool.parse(HONEST, request(page_seconds=20, document_seconds=40))
    assert given[0] == START_SECONDS and len(given) == 5 and max(given[1:]) <= 20


# -- memory and output ---------------------------------------------------------------------------------------

HEAVY: dict[str, tuple[Callable[[], bytes], type[DocumentError]]] = {
    "50 huge pages": (hostile.huge_pages, DocumentTooLarge),
    "12 pages of 79 million pixels": (hostile.bomb_tiff, DocumentTooLarge),
    "3 pages of 79 million pixels, transparent": (lambda: hostile.bomb_tiff(3, channels=4), DocumentTooLarge),
    "a canvas of 268 million pixels": (hostile.bomb_webp, DocumentTooLarge),
    "forms without end": (hostile.nested_forms, DocumentError),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_small_files_never_take_two_gigabytes(name: str) -> None:
    """Of address space, this process's own and its child's together; what is refused is refused in words."""
    make, kind = HEAVY[name]
    code = """
        import resource, sys, threading
        from layoutllm_tool.documents import Limits, load_document
        from layoutllm_tool.documents.parser_process import POOL
        from layoutllm_tool.errors import DocumentError

        POOL.warm()
        resource.setrlimit(resource.RLIMIT_AS, (1200 * 2**20,) * 2)
        peaks, done = {}, threading.Event()

        def watch():
            while not done.wait(0.005):
                for pid in ("self", *POOL.pids()):
                    try:
                        lines = open(f"/proc/{pid}/status").read().splitlines()
                        peaks[pid] = max(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
                    except (OSError, ValueError):
                        pass

        threading.Thread(target=watch, daemon=True).start()
        try:
            load_document(sys.stdin.buffer.read(), limits=Limits(page_seconds=20))
        except DocumentError as error:
            print(type(error).__name__, error)
        done.set()
        print(sum(peaks.values()) // 1024)
    """
    data = make()
    assert len(data) < 1_200_000
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], input=data, capture_output=True, check=True
    )
    outcome, peak = done.stdout.decode().strip().splitlines()
    assert issubclass(getattr(sys.modules["layoutllm_tool.errors"], outcome.split()[0]), kind), outcome
    assert 0 < int(peak) < 2048, outcome


def test_a_documents_pages_have_one_budget_together() -> None:
    pages = make_pdf(*[text("Invoice 42", 72, 700)] * 3)
    one = 1545 * 2000
    load_document(pages, limits=Limits(max_picture_bytes=4 * one))
    with pytest.raises(DocumentTooLarge, match="Choose the pages"):
        load_document(pages, limits=Limits(max_picture_bytes=2 * one))
    assert len(load_document(pages, pages=[3], limits=Limits(max_picture_bytes=2 * one)).pages) == 1
    with pytest.raises(DocumentTooLarge, match="more than 4 words"):
        load_document(pages, limits=Limits(max_words=4))


def test_a_canvas_is_refused_by_its_header() -> None:
    with pytest.raises(DocumentTooLarge, match="pixels"):
        list(parse(hostile.bomb_webp(), request()))


def test_wide_samples_are_scaled_the_same_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    from layoutllm_tool.documents import images

    rng = np.random.default_rng(0)
    for samples in (
        rng.integers(0, 4000, (70, 31)).astype(np.int32),
        rng.normal(0, 3, (70, 31)).astype(np.float32),
    ):
        wide = Image.fromarray(samples)
        whole = normalised(wide)
        monkeypatch.setattr(images, "_BAND", 100)
        assert normalised(wide).tobytes() == whole.tobytes()
        monkeypatch.undo()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_laid_over_white_is_the_same_in_bands(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    from layoutllm_tool.documents import images

    noise = np.random.default_rng(0).integers(0, 255, (70, 31, 4), dtype=np.uint8)
    if mode == "P":
        clear = Image.fromarray(noise[..., :3]).convert("P")
        clear.info["transparency"] = bytes(range(256))
    else:
        clear = Image.fromarray(noise).convert(mode)
    white = Image.new("RGBA", clear.size, "white")
    whole = Image.alpha_composite(white, clear.convert("RGBA")).convert("L" if mode == "LA" else "RGB")
    monkeypatch.setattr(images, "_BAND", 100)
    assert normalised(clear).mode == whole.mode and normalised(clear).tobytes() == whole.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_travel_the_same_in_bands(pool: ParserPool, mode: str) -> None:
    side = int((2.3 * BAND / CHANNELS[mode]) ** 0.5)
    large = Image.linear_gradient("L").resize((side, side)).convert(mode)
    buffer = io.BytesIO()
    large.save(buffer, "PNG", compress_level=1)
    (found,) = pool.parse(buffer.getvalue(), request())[1]
    assert found.image is not None and found.image.tobytes() == large.tobytes()


# -- directories ---------------------------------------------------------------------------------------------


def test_directories_are_counted_once_each_and_only_so_many() -> None:
    assert [count_directories(hostile.many_directories(n), "a.tif") for n in (1, 2, 700)] == [1, 2, 700]
    assert count_directories(hostile.circular_directories(), "a.tif") == 2
    with pytest.raises(DocumentTooLarge, match="more than 5,000 pages"):
        load_document(hostile.many_directories(100_000))


def test_a_late_page_of_a_long_tiff_is_opened_alone() -> None:
    pages = [Image.new("L", (40, 30), 255 - number) for number in range(60)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    found = load_document(buffer.getvalue(), pages=[60, 2], limits=Limits(max_pages=2)).pages
    assert [page.number for page in found] == [60, 2]
    assert [page.image.getpixel((0, 0)) for page in found if page.image] == [196, 254]
    with pytest.raises(PageOutOfRange, match="from 1 to 60"):
        load_document(buffer.getvalue(), pages=[61])


# -- trouble -------------------------------------------------------------------------------------------------


def framed(said: object, raw: bytes = b"") -> bytes:
    encoded = json.dumps(said).encode()
    return LENGTH.pack(len(encoded)) + encoded + raw


HEAD = {
    "number": 1, "width": 4, "height": 4, "mode": "L", "source": "", "notices": [], "lines": None, "words": 0,
    "text": 0,
}  # fmt: skip
ONE = framed({"total": 1})
READ: dict[str, Any] = {"source": "pdf", "lines": 1, "words": 1, "text": 3}


def page(raw: bytes = bytes(16), **head: object) -> bytes:
    return ONE + framed({"page": HEAD | head}, raw)


def block(count: int, box: tuple[float, float, float, float], text: bytes) -> bytes:
    return struct.pack("=I4d", count, *box) + text + bytes(16)


LIES = {
    "a number of pages that is none": framed({"total": "abc"}),
    "no number of pages": framed({"end": True}),
    "more pages than are taken": framed({"total": 51}),
    "not JSON": LENGTH.pack(3) + b"abc",
    "a list": framed([1]),
    "a head without end": LENGTH.pack(2**31) + b"{",
    "a head of many megabytes": framed({"total": [[]] * 2**20}),
    "deep JSON": LENGTH.pack(200_000) + b"[" * 200_000,
    "a page without a head": ONE + framed({"total": 1}),
    "a head that is a number": ONE + framed({"page": 3}),
    "half a head": ONE + framed({"page": {"number": 1}}),
    "another page": page(number=2),
    "a page that is no number": page(number="x"),
    "a negative size": page(width=-4, height=-4),
    "too large a size": page(width=2**20, height=2**20),
    "a size that is no number": page(width=4.0),
    "another mode": page(mode="F"),
    "another source": page(source="tesseract"),
    "notices that are no texts": page(notices=[[]]),
    "a notice without a code": page(notices=[{"text": "turned"}]),
    "a turn that is none": page(turn=45),
    "more words than are taken": page(**READ | {"words": 2**40}),
    "more lines than words": page(**READ | {"lines": 2}),
    "too much text": page(**READ | {"text": 2**40}),
    "words of another number": page(block(2, (0, 0, 1, 1), b"abc"), **READ),
    "texts of another number": page(block(1, (0, 0, 1, 1), b"a\nb"), **READ),
    "a text of no encoding": page(block(1, (0, 0, 1, 1), b"\xff\xff\xff"), **READ),
    "a box off the page": page(block(1, (0, 0, 1, 1e9), b"abc"), **READ),
    "a box of no numbers": page(block(1, (0, 0, 1, float("nan")), b"abc"), **READ),
    "half a picture": page(bytes(7)),
    "a page too many": page() + page()[len(ONE) :],
    "an unknown error": framed({"error": {"kind": "SystemExit"}}),
    "nothing": b"",
}  # fmt: skip


@pytest.fixture
def saying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bytes], None]:
    """Children say that they are ready, and after a whole request what the test gave them: one that ended
    before would be written to in vain.
    """

    def say(words: bytes) -> None:
        (tmp_path / "said").write_bytes(words)
        told = f"out.write(open({str(tmp_path / 'said')!r}, 'rb').read())"
        heard = "head = json.loads(given.read(int.from_bytes(given.read(4), 'big'))); given.read(head['raw'])"
        ready = f"out.write({framed({'ready': True})!r}); out.flush()"
        command = f"import json; out, given = sys.stdout.buffer, sys.stdin.buffer; {ready}; {heard}; {told}"
        monkeypatch.setattr("layoutllm_tool.documents.parser_child._COMMAND", command)

    return say


@pytest.mark.parametrize("lie", LIES)
def test_what_a_child_says_is_data(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch, saying: Callable[[bytes], None], lie: str
) -> None:
    saying(LIES[lie])
    with pytest.raises(DocumentUnreadable, match="can't be opened"):
        pool.parse(HONEST, request())
    monkeypatch.undo()
    assert pool.parse(HONEST, request())[0] == 2


def test_the_page_that_the_lies_are_made_of_is_one(pool: ParserPool, saying: Callable[[bytes], None]) -> None:
    saying(page(block(1, (0, 0, 1, 1), b"abc"), **READ) + framed({"end": True}))
    total, (found,) = pool.parse(HONEST, request())
    assert (total, found.text, found.text_source, found.width) == (1, "abc", "pdf", 4)


@pytest.mark.parametrize(
    "command", ["raise SystemExit(3)", "print('hello')", "sys.stdout.buffer.write(bytes(4)); 1/0"]
)
def test_a_child_that_does_not_start_is_not_blamed_on_the_document(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("layoutllm_tool.documents.parser_child._COMMAND", command)
    with pytest.raises(DocumentUnreadable, match=r"did not start.*sys\.executable"):
        pool.parse(HONEST, request())


def test_a_child_is_told_no_secrets_and_finds_this_package(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    monkeypatch.setattr(sys, "path", ["", "here", *(place for place in sys.path if os.path.isabs(place))])
    assert pool.parse(HONEST, request())[0] == 2
    (child,) = map(psutil.Process, pool.pids())
    assert "s3cret" not in child.environ().values()
    monkeypatch.setattr(sys, "path", ["", "/elsewhere"])
    assert _path() == [str(Path(layoutllm_tool.__file__).parents[1]), "/elsewhere"]


def test_pipes_that_cannot_be_widened_will_do(pool: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system bounds what one user's pipes take together."""
    fcntl = pytest.importorskip("fcntl")

    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", refused)
    assert pool.parse(HONEST, request())[0] == 2


def test_an_interrupt_from_the_terminal_is_left_to_the_parent(pool: ParserPool) -> None:
    pool.parse(HONEST, request())
    before = pool.pids()
    os.kill(before[0], signal.SIGINT)
    pool.parse(HONEST, request())
    assert pool.pids() == before


def test_half_an_answer_is_never_taken_for_the_next_documents(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: ParserChild, *_: object) -> Page:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ParserChild, "_page", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.parse(HONEST, request())
    assert pool.pids() == []
    assert pool.parse(picture("PNG"), request())[0] == 1


def test_a_forked_process_starts_a_child_of_its_own() -> None:
    load_document(HONEST)
    mine = set(POOL.pids())
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before = POOL.pids()
            load_document(HONEST)
            os.write(outward, json.dumps([before, POOL.pids()]).encode())
        finally:
            os._exit(0)
    os.close(outward)
    with os.fdopen(inward, "rb") as pipe:
        before, after = json.loads(pipe.read())
    os.waitpid(pid, 0)
    assert before == [] and after and not mine & set(after)
    assert load_document(HONEST).pages and mine <= set(POOL.pids())


def test_a_process_forked_while_a_child_is_busy_opens_documents(pool: ParserPool) -> None:
    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(
            POOL.parse, hostile.nested_forms(), request(page_seconds=200, document_seconds=200)
        )
        wait_for(lambda: any(psutil.Process(pid).cpu_times().user > 1 for pid in POOL.pids()))
        mine = POOL.pids()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if load_document(HONEST).pages else 1)
        turn, ended = threading.Event(), (0, 0)
        for _ in range(6000):  # where it waits for ever, it is this test that ends it
            ended = os.waitpid(pid, os.WNOHANG)
            if ended[0]:
                break
            turn.wait(0.01)
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert not stuck.done()
        for busy in mine:
            os.kill(busy, signal.SIGKILL)
        with pytest.raises(DocumentUnreadable):
            stuck.result()
    assert ended == (pid, 0)


@pytest.mark.skipif(not hasattr(select, "poll"), reason="a child can't be told here")
def test_a_child_at_work_ends_with_its_parent_however_that_ends() -> None:
    code = """
        import os, signal, threading
        from layoutllm_tool.documents.parser_process import POOL
        from tests.documents.test_parser_process import hostile, psutil, request, wait_for
        asked = request(page_seconds=200, document_seconds=200)
        threading.Thread(target=POOL.parse, args=(hostile.nested_forms(), asked), daemon=True).start()
        wait_for(lambda: any(psutil.Process(pid).cpu_times().user > 1 for pid in POOL.pids()))
        print(*POOL.pids(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    (pid,) = map(int, done.stdout.split())
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_nothing_is_left_when_the_process_ends() -> None:
    code = (
        "from layoutllm_tool.documents.parser_process import POOL\n"
        "from layoutllm_tool.documents import load_document\n"
        "from tests.documents.test_parser_process import HONEST\n"
        "load_document(HONEST); print(*POOL.pids())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (pid,) = map(int, done.stdout.split())
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("interpreter", [None, "", "/nowhere/python"])
def test_without_an_interpreter_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch, interpreter: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    with pytest.raises(DocumentUnreadable, match=r"sys\.executable"):
        ParserPool().parse(HONEST, request())


def test_a_working_directory_that_is_gone_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    made = ParserPool()
    assert made.parse(HONEST, request())[0] == 2
    os.kill(made.pids()[0], signal.SIGKILL)


def test_a_child_that_ran_out_of_memory_is_renewed(pool: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    command = "from layoutllm_tool.documents import parser_worker as w; w.MEMORY = 600 * 2**20; w.main()"
    monkeypatch.setattr("layoutllm_tool.documents.parser_child._COMMAND", command)
    pool.parse(HONEST, request())
    before = pool.pids()
    large = io.BytesIO()
    Image.new("RGB", (8_900, 8_900)).save(
        large, "PNG", compress_level=1
    )  # 300 MiB, and as much to normalise it
    with pytest.raises(DocumentTooLarge, match="MiB of memory"):
        pool.parse(large.getvalue(), request())
    assert not set(before) & set(pool.pids()) and pool.parse(HONEST, request())[0] == 2


def test_whoever_is_longest_at_a_page_gives_way_to_those_who_wait(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layoutllm_tool.documents.parser_process.PATIENCE", 0.5)
    pool.parse(HONEST, request())
    with ThreadPoolExecutor(9) as threads:
        slow = [
            threads.submit(
                pool.parse, hostile.nested_forms(), request(page_seconds=200, document_seconds=200)
            )
            for _ in range(8)
        ]
        wait_for(lambda: len(pool.pids()) == 3)
        assert (
            pool.parse(HONEST, request())[0] == 2
        )  # behind five more, all of which have as long as they like
        while not all(one.done() for one in slow):
            for pid in pool.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert all(isinstance(one.exception(), DocumentError) for one in slow)


def test_the_time_that_a_child_was_idle_does_not_count_as_its_next_page(pool: ParserPool) -> None:
    pool.parse(HONEST, request())
    (child,) = pool._idle
    child.since -= 100
    assert pool._take() is child
    pool._make_room()  # what a caller does who waits for a child, before the page has begun
    assert child.alive
    pool._give_back(child, whole=True)
