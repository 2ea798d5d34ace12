"""Run methods over a data set and tabulate them as Berkeley's benchmark does; score what others made.

results = run(["kmeans", "felzenszwalb"], "bsds500", sweep=["n_clusters", "scale=100,300,1000"], out="results")
print(results.table(published=True))
"""

from seglab.benchmark.evaluation import Evaluation, evaluate
from seglab.benchmark.people import PeopleScores, leave_one_out, people_on_bsds500
from seglab.benchmark.pictures import FolderPicture, Picture, open_pictures
from seglab.benchmark.pooling import Measured
from seglab.benchmark.readings import measured_readings
from seglab.benchmark.results import Results, Run, measured, published_rows
from seglab.benchmark.runner import run
from seglab.benchmark.scores import MEASURES, PictureScores, SettingScore
from seglab.benchmark.sweeps import settings
from seglab.benchmark.table import FORMATS, Cell, Row, Table
from seglab.benchmark.workers import WorkerError

__all__ = [
    "FORMATS",
    "MEASURES",
    "Cell",
    "Evaluation",
    "FolderPicture",
    "Measured",
    "PeopleScores",
    "Picture",
    "PictureScores",
    "Results",
    "Row",
    "Run",
    "SettingScore",
    "Table",
    "WorkerError",
    "evaluate",
    "leave_one_out",
    "measured",
    "measured_readings",
    "open_pictures",
    "people_on_bsds500",
    "published_rows",
    "run",
    "settings",
]
