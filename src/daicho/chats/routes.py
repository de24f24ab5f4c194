"""Chat logs over HTTP: each route translates to one operation. For signed-in callers only."""

from fastapi import APIRouter

router = APIRouter(tags=["chats"])
