"""The pure parts of `benchmarks/`: what the tools print, medians and ratios, tables, JSON."""

import json
import os

import pytest

from benchmarks.__main__ import choose_contenders, choose_rows, main
from benchmarks.contenders import Contender, contender_table
from benchmarks.jobs import JobsResult, jobs_document, jobs_text
from benchmarks.jobs import contender_table as jobs_contenders
from benchmarks.jobs_figures import JobsSample
from benchmarks.load import Load, LoadFailed, parse_h2load, parse_wrk, percentile
from benchmarks.machine import Cores, parse_core_list
from benchmarks.measure import Settings, sample_of
from benchmarks.processes import ServerFailed, peak_rss_bytes, rss_bytes, stat_cpu_seconds
from benchmarks.report import document, row_text
from benchmarks.results import Cell, RowResult, Sample
from benchmarks.rows import ROWS, TEXT, UNFILTERED, Row
from benchmarks.uploads import MIB, check_stored, request
from benchmarks.verify import is_expected, row_for

WRK = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  310.12us   9.81ms   93.05%
    Req/Sec    63.05k     2.31k   66.40k    85.00%
  Latency Distribution
     50%  950.00us
     75%    1.08ms
     90%    1.21ms
     99%    2.40ms
  125456 requests in 2.00s, 17.11MB read
Requests/sec:  62718.31
Transfer/sec:      8.55MB
"""

H2LOAD = """starting benchmark...
finished in 2.00s, 29301.50 req/s, 1.01MB/s
requests: 58603 total, 58731 started, 58603 done, 58603 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 58603 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 2.02MB (2115000) total, 600KB (614000) headers (space savings 90.00%), 744KB (761839) data
"""


def result(goal: float | None, **costs: list[float]) -> RowResult:
    row = Row("text", "a text", "/", TEXT, goal)
    cells = [Cell(name, [Sample(cost) for cost in values]) for name, values in costs.items()]
    return RowResult(row, cells)


class TestWrk:
    def test_good_run(self):
        load = parse_wrk(WRK)
        assert load == Load(125456, 62718.31, 950.0, 2400.0, "")

    def test_answers_that_are_not_2xx(self):
        assert parse_wrk(WRK + "  Non-2xx or 3xx responses: 12\n").problem == "12 answers not 2xx"

    def test_socket_errors(self):
        errors = "  Socket errors: connect 0, read 3, write 0, timeout 1\n"
        assert parse_wrk(WRK + errors).problem == (
            "socket errors: connect 0, read 3, write 0, timeout 1"
        )

    def test_no_result(self):
        with pytest.raises(LoadFailed, match="wrk printed no result"):
            parse_wrk("unable to connect to 127.0.0.1:8000 Connection refused\n")


class TestH2load:
    def test_good_run(self):
        log = "".join(f"{1000 + us}\t200\t{us}\n" for us in range(1, 102))
        load = parse_h2load(H2LOAD, log)
        assert load == Load(58603, 29301.50, 51.0, 100.0, "")

    def test_failed_requests(self):
        output = H2LOAD.replace("58603 succeeded, 0 failed, 0", "58603 succeeded, 4 failed, 2")
        assert parse_h2load(output, "").problem == "4 requests failed, 2 errored"

    def test_answers_that_are_not_2xx(self):
        output = H2LOAD.replace("58603 2xx, 0 3xx, 0 4xx", "58600 2xx, 0 3xx, 3 4xx")
        assert parse_h2load(output, "").problem == "3 answers not 2xx"

    def test_no_result(self):
        with pytest.raises(LoadFailed, match="h2load printed no result"):
            parse_h2load("", "")


def test_percentile_of_too_few_values_is_unknown():
    assert percentile([7], 50) is None


class TestFigures:
    def test_cost_is_cpu_time_per_request(self):
        sample = sample_of(Load(100_000, 50_000.0, None, None), 1.5, 2.0)
        assert (sample.cost, sample.server_busy) == (15.0, 0.75)

    def test_no_answer_is_a_problem(self):
        assert sample_of(Load(0, 0.0, None, None), 0.1, 2.0).problem == "no request was answered"

    def test_ratio_is_the_median_of_the_rounds(self):
        # The medians alone would give 20 / 10; a slow third round meets both.
        row = result(None, canned=[10.0, 8.0, 20.0], tarry=[15.0, 20.0, 30.0])
        assert row.ratios("tarry") == [1.5, 2.5, 1.5]
        assert row.ratio("tarry") == 1.5

    @pytest.mark.parametrize(("goal", "reached"), [(1.5, True), (1.4, False), (None, None)])
    def test_goal(self, goal, reached):
        assert result(goal, canned=[10.0], tarry=[15.0]).reached("tarry") is reached

    def test_one_bad_round_makes_a_cell_invalid(self):
        row = result(2.0, canned=[10.0], tarry=[])
        row.cell("tarry").add(Sample(15.0, problem="3 answers not 2xx"))
        row.cell("tarry").add(Sample(15.0))
        assert not row.cell("tarry").valid
        assert row.cell("tarry").median("cost") is None
        assert row.reached("tarry") is None

    def test_without_a_yardstick_there_is_no_ratio(self):
        assert result(2.0, tarry=[15.0]).ratio("tarry") is None


class TestReport:
    def test_table(self):
        row = result(1.7, tarry=[15.0], canned=[10.0])
        row.cells.append(Cell("node", problem="not installed: node (apt-get install nodejs)"))
        assert row_text(row).splitlines() == [
            "text: a text",
            "  contender  CPU µs/request  x canned  lowest-highest",
            "  canned               10.0      1.00       1.00-1.00",
            "  tarry                15.0      1.50       1.50-1.50",
            "  node: not installed: node (apt-get install nodejs)",
            "  goal: tarry <= 1.7 x canned: reached (1.50)",
        ]

    @pytest.mark.parametrize(
        ("cost", "verdict"), [([18.0], "NOT reached (1.80)"), ([], "no figure")]
    )
    def test_verdict(self, cost, verdict):
        assert row_text(result(1.7, canned=[10.0], tarry=cost)).endswith(verdict)

    def test_goals_of_an_upload(self):
        row = Row("up", "an upload", "/", None, tool="upload", beside="nginx", most_beside=2.0,
                  most_memory_growth_mib=30.0)  # fmt: skip
        tarry = Sample(1300.0, elapsed_seconds=3.0, memory_growth_mib=31.0)
        nginx = Sample(1000.0, elapsed_seconds=2.0, memory_growth_mib=0.1)
        cells = [Cell("tarry", [tarry]), Cell("nginx", [nginx])]
        assert row_text(RowResult(row, cells)).splitlines() == [
            "up: an upload",
            "  contender  CPU µs/MiB  seconds  MiB more",
            "  nginx         1 000.0     2.00       0.1",
            "  tarry         1 300.0     3.00      31.0",
            "  goal: tarry <= 2.0 x nginx's time: reached (1.50)",
            "  goal: tarry <= 30.0 MiB more memory: NOT reached (31.00)",
        ]

    def test_a_comparison_without_a_goal_shows_its_figure(self):
        row = Row("f", "filters", "/", TEXT, beside=UNFILTERED)
        cells = [Cell("tarry", [Sample(30.0)]), Cell(UNFILTERED, [Sample(20.0)])]
        assert row_text(RowResult(row, cells)).endswith("  tarry: 1.50 x tarry-unfiltered")

    def test_document_is_json_with_every_sample(self):
        settings = Settings(rounds=2, seconds=1, cores=Cores(server=0, load=1))
        rows = [result(1.7, canned=[10.0, 10.0], tarry=[15.0, 16.0])]
        made = document(rows, settings, {"cores": 2}, {"tarry": {"tarry": "1"}}, "2025-01-01")
        assert json.loads(json.dumps(made)) == made
        [row] = made["rows"]
        tarry = row["contenders"][1]
        assert (row["goal_reached"], tarry["ratio"]) == (True, 1.55)
        assert [sample["cost"] for sample in tarry["samples"]] == [15.0, 16.0]


class TestChoice:
    def test_rows_keep_the_order_of_the_table(self):
        assert [row.name for row in choose_rows("http2, text-inline")] == ["text-inline", "http2"]

    def test_the_yardstick_always_takes_part(self):
        assert [one.name for one in choose_contenders("tarry")] == ["canned", "tarry"]

    def test_unknown_name_is_one_line_and_exit_code_1(self, capsys):
        assert main(["--rows", "text"]) == 1
        assert capsys.readouterr().err.startswith("benchmarks: no row named text; known: text-inl")

    def test_every_contender_does_known_rows(self):
        rows = {row.name for row in ROWS}
        assert all(one.rows and one.rows <= rows for one in contender_table())

    def test_filtered_rows_have_one_without_filters_beside(self):
        unfiltered = next(one for one in contender_table() if one.name == UNFILTERED)
        filtered = [row for row in ROWS if row.filters]
        assert unfiltered.rows == {row.name for row in filtered}
        for row in filtered:
            beside = row_for(unfiltered, row)
            assert not beside.filters
            assert (beside.path, beside.post) == (row.path, row.post)

    def test_missing_contender_says_what_to_install(self):
        absent = Contender("x", "program", ("no-such-program",), (), frozenset(), "install x")
        assert absent.missing() == "not installed: no-such-program (install x)"


class TestAnswers:
    @pytest.mark.parametrize(
        ("body", "expected", "good"),
        [
            (b"Hello, World!", TEXT, True),
            (b"Hello, World!\n", TEXT, False),
            (b'{ "id": 1 }', {"id": 1}, True),
            (b'{"id":"1"}', {"id": 1}, False),
            (b"<html>", {"id": 1}, False),
        ],
    )
    def test_is_expected(self, body, expected, good):
        assert is_expected(body, expected) is good

    def test_only_the_yardstick_gets_another_load(self):
        canned, tarry = contender_table()[:2]
        http2 = next(row for row in ROWS if row.name == "http2")
        assert row_for(tarry, http2) is http2
        assert row_for(canned, http2).tool == "wrk"


class TestUploads:
    @pytest.mark.parametrize("name", ["upload-stream", "upload-form"])
    def test_a_request_is_as_long_as_it_announces(self, name):
        row = next(row for row in ROWS if row.name == name)
        head, _, body = b"".join(request(row, 2)).partition(b"\r\n\r\n")
        assert head.endswith(b"content-length: %d" % len(body))
        assert len(body) == 2 * MIB or row.is_form

    def test_all_of_a_body_has_to_be_stored(self, tmp_path):
        stored = tmp_path / "stored"
        stored.write_bytes(b"12345")
        check_stored(stored, 5, is_form=False)
        with pytest.raises(ServerFailed, match="stored 5 of 6 bytes"):
            check_stored(stored, 6, is_form=False)

    def test_nothing_stored(self, tmp_path):
        with pytest.raises(ServerFailed, match="stored 0 of 6 bytes"):
            check_stored(tmp_path / "stored", 6, is_form=False)


class TestMachine:
    def test_the_peak_of_memory_is_no_less_than_memory(self):
        assert peak_rss_bytes(os.getpid()) >= rss_bytes(os.getpid()) - MIB > 0

    def test_core_list(self):
        assert parse_core_list("0-2,8\n") == {0, 1, 2, 8}

    def test_cpu_time_counts_children_that_ended(self):
        # From the state on: utime stime cutime cstime are the twelfth to the fifteenth.
        fields = ["S", *["1"] * 10, "100", "50", "25", "25", "20"]
        assert stat_cpu_seconds(fields) == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))

    def test_a_process_that_is_gone_used_nothing(self):
        assert stat_cpu_seconds([]) == 0


class TestJobs:
    def results(self) -> list[JobsResult]:
        pool = JobsResult("thread-pool", "thread-pool", [JobsSample(9000.0, 40.0, 80.0, 500.0)])
        tarry = JobsResult(
            "tarry-threads", "thread-pool", [JobsSample(2000.0, 400.0, 240.0, 999.0)]
        )
        quick = JobsResult("quick_server", "quick_server", problem="not installed: quick-server")
        return [pool, tarry, quick]

    def test_table(self):
        assert jobs_text(self.results()).splitlines()[1:] == [
            "  contender                 jobs/s  CPU µs/job    p50 µs    p99 µs"
            "   CPU and p50 beside",
            "  thread-pool                9 000          40        80       500",
            "  tarry-threads              2 000         400       240       999"
            "   10 x, 3 x thread-pool",
            "  quick_server: not installed: quick-server",
        ]

    def test_ratio_is_the_median_of_the_rounds(self):
        one = JobsResult("a", "b", [JobsSample(1, cost) for cost in (15.0, 20.0, 30.0)])
        other = JobsResult("b", "b", [JobsSample(1, cost) for cost in (10.0, 8.0, 20.0)])
        assert one.ratio(other, "cpu_us") == 1.5

    def test_document_is_json_with_every_sample(self):
        made = jobs_document(self.results())
        assert json.loads(json.dumps(made)) == made
        assert made[1]["samples"][0]["cpu_us"] == 400.0

    def test_each_is_compared_with_somebody_who_takes_part(self):
        table = jobs_contenders()
        assert {one.beside for one in table} <= {one.name for one in table}

    def test_a_store_in_a_file_lies_in_the_folder_of_the_round(self, tmp_path):
        one = next(each for each in jobs_contenders() if each.name == "tarry-post-sqlite")
        command = one.command_line(8000, ROWS[0], tmp_path)
        assert command[-2:] == ["8000", f"sqlite:{tmp_path}/state.db"]
