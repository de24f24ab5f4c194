"""Guilds over HTTP: each route translates to one operation. For signed-in callers only."""

from fastapi import APIRouter

from daicho.core.web import problems

router = APIRouter(tags=["guilds"], responses=problems(401, 422, 503))
