"""AICL: a language model learns from its errors on the nearest training session, then answers in the same talk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.teachers.protocol import Task
from recbole_routedk.evaluation.metrics import gold_bundles
from recbole_routedk.model.language.course import Course, hold_bundles, hold_texts
from recbole_routedk.model.language.feedback import feedback, is_right
from recbole_routedk.model.language.prompted import DemonstratedModel
from recbole_routedk.model.language.talk import BUNDLES, Question, Reply, Talk, ask

INTENTS = Question("Which intent does each of your bundles serve, in three to five words?", Task.INTENTS)
ADJUST = Question("Given these intents, adjust the bundles.", Task.BUNDLES)
INTENTS_AGAIN = Question("Given the adjusted bundles, state the intents again.", Task.INTENTS)
CORRECT = Question("Given this feedback, adjust the bundles.", Task.BUNDLES)
ADVICE = Question("Based on this talk, which rules do you find for detecting bundles?", Task.ADVICE)
NEXT = "Another session:\n"
TARGET = Question("Based on these rules and corrections, which items form bundles?", Task.BUNDLES)


class AICL(DemonstratedModel):
    """Adaptive in-context learning (Sun et al., SIGIR 2024, arXiv 2312.16262).

    About the nearest training session the model is asked for bundles, for their intents, to adjust the bundles and to
    state the intents again (``self_correction``); then it is told what is wrong with each bundle, by the paper's six
    error types, at most ``feedback_rounds`` times (auto-feedback); then it is asked which rules it finds
    (``ask_rules``). In the same talk it answers the target session, correcting itself in the same way. All sessions
    hold several bundles in the paper too, so nothing has to be adapted.

    What differs: AICL.yaml leaves out the self-correction and two rounds of feedback, which the 135M student loses by
    (results/tuning.md); the paper's talk is ``self_correction: True`` with ``feedback_rounds: 4``. The student's last
    answer is agreed on by several drawn ones (``PromptedModel``); an endpoint's are at temperature zero, as in the
    paper. The words are ours, since an endpoint is held to JSON. Feedback also says how many right bundles no
    answered one is nearest to, because the error types say nothing about an answer without any bundle. Intents of the
    target are not asked for again after its last bundles, as nothing would read them. A question that an endpoint
    fails to answer is left out of the talk, which goes on. Talks are held in waves, all sessions a question at a time;
    a training session that is the nearest of several is talked about once. What does not fit into the student's context
    is left out: a question, or all that stands before the target session.
    """

    goes_on = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset, 1)
        self._learnt: dict[Session, Talk] = {}

    def replies(self, sessions: Sequence[Session]) -> list[Reply]:
        """Hold the talks about the neighbours that are new, then those about the sessions."""
        nearest = [next(iter(own), None) for own in self.neighbours(sessions)]
        new = {own.session: own for own in nearest if own is not None and own.session not in self._learnt}
        self._learnt |= {course.session: course.talk for course in self._demonstrated(list(new.values()))}
        talks = [() if own is None else self._learnt[own.session] for own in nearest]
        courses = [Course(session, talk) for session, talk in zip(sessions, talks, strict=True)]
        for course in courses:
            if not self.respondent.fits((*course.talk, ask(NEXT, course.session, TARGET))):
                course.talk = ()
        return self._answered(courses)

    def _demonstrated(self, neighbours: Sequence[LabelledSession]) -> list[Course]:
        """Talk about training sessions until their bundles are right or the rounds are over; then ask for rules."""
        courses = [Course(labelled.session) for labelled in neighbours]
        gold = {labelled.session: gold_bundles(labelled) for labelled in neighbours}
        hold_bundles(self.respondent, [(course, (course.session, BUNDLES)) for course in courses])
        answered = [course for course in courses if course.reply.said is not None]
        if self.config["self_correction"]:
            hold_texts(self.respondent, answered, INTENTS)
            hold_bundles(self.respondent, [(course, (ADJUST,)) for course in answered])
            hold_texts(self.respondent, answered, INTENTS_AGAIN)
        for _ in range(self.config["feedback_rounds"]):
            wrong = [course for course in answered if not is_right(course.reply, gold[course.session])]
            told = [(course, (*feedback(course.reply, gold[course.session]), CORRECT)) for course in wrong]
            hold_bundles(self.respondent, told)
        if self.config["ask_rules"]:
            hold_texts(self.respondent, answered, ADVICE)
        return courses

    def _answered(self, courses: Sequence[Course]) -> list[Reply]:
        """Ask about the target sessions; only their last answers count, so only for them more than one is drawn."""
        corrects = self.config["self_correction"]
        asked = [
            (course, (NEXT, course.session, TARGET) if course.talk else (course.session, BUNDLES)) for course in courses
        ]
        hold_bundles(self.respondent, asked, final=not corrects)
        if corrects:
            answered = [course for course in courses if course.reply.said is not None]
            hold_texts(self.respondent, answered, INTENTS)
            hold_bundles(self.respondent, [(course, (ADJUST,)) for course in answered], final=True)
        return [course.reply for course in courses]
