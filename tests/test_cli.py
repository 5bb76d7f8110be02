"""The command line: output, exit codes, what goes where. The reader is a fake; files, words and pictures
are real.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from layoutllm_tool.cli import main
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import OCRNotInstalled, WeightsNotFound
from layoutllm_tool.ocr import TesseractEngine
from layoutllm_tool.samples import INVOICE, LETTER
from layoutllm_tool.testing import FakeOCR, FakeReader

KEYS = ["question", "answer", "page", "box", "area", "confidence", "steps", "page_size"]
KEYS += ["original", "notices"]


def ask(*arguments: str, reader: FakeReader | None = None) -> int:
    return main(
        ["ask", *arguments], reader=reader or FakeReader(ocr=FakeOCR("Invoice no   4711\nTotal   12.50"))
    )


def records(captured: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(captured)
    return loaded


# -- output --------------------------------------------------------------------------------------------------


def test_json_is_one_array_with_an_object_a_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(str(LETTER), "rent and deposit?", "start of tenancy?", "shoe size?", "--json") == 0
    found = records(capsys.readouterr().out)
    assert [list(record) for record in found] == [KEYS] * 3
    assert [record["page"] for record in found] == [1, 2, None]
    assert found[1]["answer"] == "1 July 2024" and found[1]["page_size"] == [1413, 2000]
    assert found[2]["answer"] is None and found[2]["box"] is None and found[2]["page_size"] is None
    assert all(0 <= edge <= 1000 for edge in found[1]["box"])
    assert list(found[1]["steps"]) == ["question_analysis", "relevant_area_concentration", "answer_formation"]


def test_text_shows_answer_place_and_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(str(LETTER), "Notice period?") == 0
    out = capsys.readouterr().out
    assert "two months" in out and "page 2, box [" in out and "confidence 1.00" in out
    assert (
        "1 Question analysis" in out
        and "2 Relevant area concentration" in out
        and "3 Answer formation" in out
    )


def test_text_says_what_is_not_in_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(str(LETTER), "shoe size?", "Notice period?") == 0
    out = capsys.readouterr().out
    assert (
        out.startswith("1  shoe size?\n  not in the document") and "\n2  Notice period?\n  two months" in out
    )


def test_untrusted_text_reaches_no_terminal_as_control_or_markup(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "[bold]x[/bold]\x1b]0;owned\x07\x9b31m\u202e\u200b"
    reader = FakeReader({"q": evil})
    assert ask(str(LETTER), "q", reader=reader) == 0
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out and not {"\x1b", "\x07", "\x9b", "\u202e", "\u200b"} & set(out)
    assert ask(str(LETTER), "q", "--json", reader=reader) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\u202e"} & set(out) and records(out)[0]["answer"] == evil


def test_page_restricts_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(str(LETTER), "Notice period?", "--page", "1", "--json") == 0
    assert records(capsys.readouterr().out)[0]["answer"] is None


def test_notices_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(str(INVOICE), "total?", "--json", reader=FakeReader()) == 0
    out, err = capsys.readouterr()
    assert records(out)[0]["answer"] is None and "page 1: not read" in err


def test_what_a_library_prints_does_not_spoil_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    class Chatty(FakeReader):
        def load(self, source: Any, *, words: Any = None) -> Document:
            print("loading weights ...")
            return super().load(source, words=words)

    assert ask(str(LETTER), "Notice period?", "--json", reader=Chatty()) == 0
    out, err = capsys.readouterr()
    assert records(out)[0]["answer"] == "two months" and "loading weights" in err


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LETTER.read_bytes())))
    assert ask("-", "Notice period?", "--json") == 0
    assert records(capsys.readouterr().out)[0]["answer"] == "two months"


# -- words, corrections, pictures ----------------------------------------------------------------------------


def test_words_replace_recognition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {
        "words": [{"text": "Total", "box": [20, 20, 80, 40]}, {"text": "9.99", "box": [300, 20, 360, 40]}]
    }
    file, page = tmp_path / "words.json", tmp_path / "page.png"
    file.write_text(json.dumps(words))
    Image.new("L", (400, 200), 255).save(page)
    engine = FakeOCR("Total   1.11")
    assert ask(str(page), "total?", "--words", str(file), "--json", reader=FakeReader(ocr=engine)) == 0
    [record] = records(capsys.readouterr().out)
    assert (
        record["answer"] == "9.99"
        and record["box"] == [750, 100, 900, 200]
        and record["page_size"] == [400, 200]
    )
    assert engine.calls == 0


def test_words_that_fit_no_page_are_the_callers_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.json").write_text('{"words": [{"text": "Total", "box": [20, 20, 9000, 40]}]}')
    assert ask(str(INVOICE), "total?", "--words", str(tmp_path / "words.json")) == 2
    assert "does not lie on a page" in capsys.readouterr().err


def test_a_correction_reaches_the_reader(capsys: pytest.CaptureFixture[str]) -> None:
    reader = FakeReader()
    correction = '{"step": "answer", "wrong": ["two months"]}'
    assert ask(str(LETTER), "Notice period?", "--correction", correction, "--json", reader=reader) == 0
    assert records(capsys.readouterr().out)[0]["answer"] != "two months"
    assert reader.calls[-1].correction and reader.calls[-1].correction.wrong == ("two months",)


def test_the_picture_is_written(tmp_path: Path) -> None:
    target = tmp_path / "marked.png"
    assert ask(str(LETTER), "Notice period?", "--annotate", str(target)) == 0
    with Image.open(target) as picture:
        assert picture.size == (1413, 2000) and (214, 39, 40) in {
            c for _, c in picture.getcolors(1 << 24) or ()
        }


def test_real_recognition_of_the_sample_invoice(capsys: pytest.CaptureFixture[str]) -> None:
    reader = FakeReader(ocr=TesseractEngine())
    assert ask(str(INVOICE), "invoice number?", "subtotal?", "--json", reader=reader) == 0
    assert [record["answer"] for record in records(capsys.readouterr().out)] == ["HC-2024-0318", "232.50"]


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.pdf", "q"], "there is no file 'nowhere.pdf'. Check the name"),
        ([str(Path(__file__)), "q"], "plain text, which is not read here. Convert it"),
        ([str(LETTER), "q", "--page", "9"], "has no page 9. Pages count from 1 to 2."),
        ([str(LETTER), " "], "a question is empty"),
        (["https://example.com/a.pdf", "q"], "URLs are turned off"),
        ([str(LETTER), "q", "--correction", "nonsense"], "--correction is not JSON"),
        ([str(LETTER), "q", "--correction", '{"step": "dance"}'], "unknown step 'dance'"),
        (
            [str(LETTER), "q", "q2", "--correction", '{"step": "area", "spatial": "top"}'],
            "belongs to one question",
        ),
        ([str(LETTER), "q", "--words", "nowhere.json"], "there is no file 'nowhere.json'"),
        ([str(INVOICE), "q", "--annotate", str(INVOICE)], "names the document itself"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_callers_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], said: str, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(*arguments, *form) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.startswith("layoutllm: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "error", [WeightsNotFound("no weights.", hint="Run it."), OCRNotInstalled("no engine.")]
)
def test_what_cannot_be_helped_is_exit_code_1(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(str(LETTER), "q", reader=FakeReader({"q": error})) == 1
    assert capsys.readouterr().err == f"layoutllm: {error}\n"


def test_bugs_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(str(LETTER), "q", reader=FakeReader({"q": ZeroDivisionError("a bug")}))


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "f.pdf"],
        ["ask", "f.pdf", "q", "--page", "one"],
        ["ask", "f.pdf", "q", "--annotate", "out.exe"],
        ["ask", "f.pdf", "q", "--annotate", "no/such/folder/out.png"],
        ["ask", "f.pdf", "q", "--ocr", "magic"],
        ["ask", "f.pdf", "q", "--lang", ","],
        ["dance"],
        [],
    ],
)
def test_wrong_arguments_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_picture_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "marked.png").mkdir()
    assert ask(str(LETTER), "Notice period?", "--annotate", str(tmp_path / "marked.png")) == 1
    out, err = capsys.readouterr()
    assert "can't be written" in err and "two months" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_answer_survives_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "marked.png").symlink_to("/dev/full")
    assert ask(str(LETTER), "Notice period?", "--json", "--annotate", str(tmp_path / "marked.png")) == 1
    out, err = capsys.readouterr()
    assert records(out)[0]["answer"] == "two months"
    assert "No space left on device" in err and err.count("\n") == 1


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_self: FakeReader, _document: Document, _questions: Any, **_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeReader, "ask_many", interrupted)
    assert ask(str(LETTER), "q") == 130


# -- the reader it builds ------------------------------------------------------------------------------------


def test_options_reach_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: dict[str, Any] = {}

    def build(weights: Path | None, **settings: Any) -> FakeReader:
        built.update(settings, weights=weights)
        return FakeReader()

    monkeypatch.setattr("layoutllm_tool.readers.local.LayoutLLMReader", build)
    options = ["--lang", "jpn+eng", "--ocr", "rapidocr", "--weights", str(tmp_path)]
    assert main(["ask", str(LETTER), "Notice period?", *options]) == 0
    assert (
        built["weights"] == tmp_path
        and built["languages"] == ("jpn", "eng")
        and built["engine"].name == "rapidocr"
    )
    assert main(["ask", str(LETTER), "Notice period?"]) == 0
    assert built == {"weights": None, "languages": ("eng",), "engine": None}


def test_pull_prints_where_the_model_lies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "layoutllm_tool.model.base.base_model", lambda *, quiet, gguf: Path(f"/models/quiet={quiet}")
    )
    encoder = "layoutllm_tool.model.sentence_encoder.sentence_encoder_folder"
    monkeypatch.setattr(encoder, lambda *, quiet: Path(f"/encoders/quiet={quiet}"))
    text = "layoutllm_tool.model.text_model.text_model_folder"
    monkeypatch.setattr(text, lambda *, quiet: Path(f"/texts/quiet={quiet}"))
    assert main(["pull"]) == 0
    assert capsys.readouterr().out == "/models/quiet=False\n/encoders/quiet=False\n/texts/quiet=False\n"

    def missing(*, quiet: bool) -> Path:
        raise WeightsNotFound("the sentence encoder can't be fetched.")

    monkeypatch.setattr(encoder, missing)
    assert main(["pull"]) == 0  # questions are answered without it, less well
    assert "sentence encoder" in capsys.readouterr().err


# -- as a program --------------------------------------------------------------------------------------------


def _program(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = ["-c", code] if code else ["-m", "layoutllm_tool", *arguments]
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)


def test_version_and_help() -> None:
    assert _program("--version").stdout == f"layoutllm-tool {version('layoutllm-tool')}\n"
    done = _program("ask", "--help")
    assert done.returncode == 0 and "--annotate OUT.png" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    absent = "torch transformers langchain_core langgraph numpy rich pytesseract pypdfium2 PIL pydantic"
    code = (
        "import sys\nfrom layoutllm_tool.cli import main\n"
        "try:\n    main(['ask', '--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.exit(' '.join(m for m in {absent.split()} if m in sys.modules) or 0)"
    )
    done = _program(code=code)
    assert done.returncode == 0, done.stderr


def test_a_mistake_has_no_traceback() -> None:
    done = _program("ask", "nowhere.pdf", "q", "--json")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "layoutllm: there is no file 'nowhere.pdf'. Check the name and the folder.\n"


def test_samples_are_what_their_script_draws(tmp_path: Path) -> None:
    from scripts import draw_samples

    try:
        draw_samples.main(tmp_path / "invoice.png", tmp_path / "letter.pdf")
    except OSError:
        pytest.skip("the Liberation fonts are not installed")
    assert (tmp_path / "letter.pdf").read_bytes() == LETTER.read_bytes()
    with Image.open(tmp_path / "invoice.png") as drawn, Image.open(INVOICE) as kept:
        difference = ImageStat.Stat(ImageChops.difference(drawn, kept)).mean
    assert max(difference) < 2, "another release of the fonts may move an edge, no more"
