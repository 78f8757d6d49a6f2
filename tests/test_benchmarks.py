"""What the benchmarks compute, and one round of them against a real server."""

import unittest
from xml.etree import ElementTree

from benchmarks import peers, plot, report
from benchmarks.cases import FanOut, Figure, Idle
from benchmarks.processes import CannotRun, free_port, running

CASE = FanOut(200, 1, 1, (peers.FLOOR, peers.WEBCHAT, peers.NODE_CHAT))


def figures(floor, webchat, node):
    return {peers.FLOOR: Figure(floor), peers.WEBCHAT: Figure(webchat), peers.NODE_CHAT: Figure(node)}


def cells(table, name):
    row = next(line for line in table.splitlines() if f"| {name} " in line)
    return [cell.strip() for cell in row.strip("|").split("|")]


class TableTest(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_ratios_within_each_repetition(self):
        table = report.table({CASE: [figures(1, 2, 4), figures(10, 30, 30), figures(2, 5, 20)]})
        self.assertEqual(cells(table, "webchat")[2:6], ["5.00 µs a delivery", "", "0.50", "2.50"])

    def test_a_peer_that_was_skipped_has_no_row_and_no_ratio(self):
        table = report.table({CASE: [{peers.WEBCHAT: Figure(2.0)}]})
        self.assertNotIn("Node", table.splitlines()[-1])
        self.assertEqual(cells(table, "webchat")[4:6], ["", ""])

    def test_memory_is_shown_for_the_idle_case(self):
        case = Idle(10, (peers.WEBCHAT,))
        self.assertIn("13.4 KiB", report.table({case: [{peers.WEBCHAT: Figure(600, 13.4)}]}))


class PlotTest(unittest.TestCase):
    def test_the_chart_is_well_formed_and_names_every_server_that_was_measured(self):
        sweep = {50: [figures(1, 2, 4)], 1000: [figures(1.1, 2.1, 4.1)]}
        drawing = plot.svg(sweep, (*CASE.peers, peers.PYTHON))
        texts = [text.text for text in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]
        self.assertLessEqual({"C loop", "webchat", "Node Socket.IO", "50", "1,000"}, set(texts))
        self.assertNotIn("python-socketio", texts)

    def test_labels_of_lines_that_end_close_together_do_not_overlap(self):
        places = plot.spread_labels({"a": (1, 100), "b": (1, 101), "c": (1, 99)})
        self.assertEqual([y for _, y in sorted(places.values())], [99, 115, 131])


class RunTest(unittest.TestCase):
    def test_a_case_is_measured_on_a_real_server(self):
        case, port = FanOut(5, 2, 3, (peers.WEBCHAT,)), free_port()
        with running(peers.WEBCHAT.command(port), port, peers.WEBCHAT.environment) as server:
            figure = case.measure(peers.WEBCHAT, server)
        self.assertGreater(figure.cpu, 0)
        self.assertLessEqual(figure.median, figure.p99)

    def test_a_server_that_does_not_start_says_why(self):
        with self.assertRaisesRegex(CannotRun, "NameError"), running(["python3", "-c", "oops"], free_port(), {}):
            pass
