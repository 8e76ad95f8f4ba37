-- Health of TaskRuns and FlowRuns of podtask.dev for Argo CD (resource.customizations.health.podtask.dev_TaskRun, _FlowRun).
local health = { status = "Progressing", message = "The operator has not looked at it yet." }
if obj.status == nil then
  return health
end
if obj.status.message ~= nil then
  health.message = obj.status.message
elseif obj.status.state ~= nil then
  health.message = obj.status.state
end
local finished = false
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Succeeded" and condition.status ~= "Unknown" then
    finished = true
    health.status = condition.status == "True" and "Healthy" or "Degraded"
    health.message = condition.message or health.message
  end
end
if finished then
  return health
end
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "DriverLost" and condition.status == "True" then
    health.status = "Degraded"
    health.message = condition.message or "The driver of the flow run is lost."
  end
end
if obj.spec ~= nil and obj.spec.suspend == true then
  health.status = "Suspended"
end
return health
