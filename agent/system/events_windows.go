package system

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// volumeInterface is the class of the interfaces of volumes.
var volumeInterface = windows.GUID{Data1: 0x53f5630d, Data2: 0xb6bf, Data3: 0x11d0, Data4: [8]byte{0x94, 0xf2, 0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b}}

// Events calls handle for each change to a disk until the context ends, which
// is no error. It begins with an Overrun once it listens, so that whoever
// looks at that moment misses nothing. It sleeps between events. Where Windows
// does not tell, it looks every minute, and the first Overrun says why.
func Events(ctx context.Context, handle func(Event)) error {
	l := listeners.add()
	defer listeners.remove(l)
	var registered []uintptr
	defer func() {
		// Each of these waits for a callback that runs; none waits for us.
		for _, r := range registered {
			unregister(r)
		}
	}()
	for _, class := range []windows.GUID{diskInterface, volumeInterface, portableInterface} {
		r, err := register(class, l.id)
		if err != nil {
			lookForDisks(ctx, fmt.Errorf("listen for device events: %w", err), deviceInterfaces, handle)
			return nil
		}
		registered = append(registered, r)
	}
	handle(Event{Action: Overrun})
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-l.events:
			handle(e)
		case <-l.lost:
			handle(Event{Action: Overrun})
		}
	}
}

// deviceInterfaces lists the drives, and the disks, volumes and portable
// devices as far as they can be listed.
func deviceInterfaces() ([]string, error) {
	drives, err := windows.GetLogicalDrives()
	if err != nil {
		return nil, coded(err)
	}
	list := []string{fmt.Sprintf("%x", drives)}
	for _, class := range []windows.GUID{diskInterface, volumeInterface, portableInterface} {
		links, err := interfacesOf(class)
		if err != nil {
			links = []string{err.Error()} // the same each time: what else there is still counts
		}
		slices.Sort(links)
		list = append(list, links...)
	}
	return list, nil
}

// notificationFilter is CM_NOTIFY_FILTER, of device interfaces.
type notificationFilter struct {
	size  uint32
	_     uint32 // flags
	kind  uint32 // 0: device interface
	_     uint32
	class windows.GUID
	_     [400 - unsafe.Sizeof(windows.GUID{})]byte
}

// notificationData is the beginning of CM_NOTIFY_EVENT_DATA, of device
// interfaces. The symbolic link follows.
type notificationData struct {
	kind  uint32
	_     uint32
	class windows.GUID
}

// register has Windows call back for one class of device interfaces.
func register(class windows.GUID, listener uintptr) (uintptr, error) {
	p, err := procedure("cfgmgr32.dll", "CM_Register_Notification")
	if err != nil {
		return 0, err
	}
	filter := &notificationFilter{class: class}
	filter.size = uint32(unsafe.Sizeof(*filter))
	handle := new(uintptr)
	answer, _, _ := p.Call(uintptr(unsafe.Pointer(filter)), listener, deviceCallback(), uintptr(unsafe.Pointer(handle)))
	return *handle, configured(answer)
}

// unregister takes a registration back. It must not run in a callback, for
// whose end it waits.
func unregister(handle uintptr) {
	if p, err := procedure("cfgmgr32.dll", "CM_Unregister_Notification"); err == nil {
		_, _, _ = p.Call(handle)
	}
}

// deviceCallback returns what Windows calls. A process can make few of these
// and never gives one back.
var deviceCallback = sync.OnceValue(func() uintptr { return windows.NewCallback(deviceNotified) })

// deviceNotified is called by Windows, on a thread of its own. The data are
// gone when it returns, and whatever it waited for, unregister would wait for
// too.
func deviceNotified(_, listener, action uintptr, data *notificationData, size uintptr) uintptr {
	const head = unsafe.Sizeof(notificationData{})
	l := listeners.get(listener)
	if l == nil || data == nil || size < head || data.kind != 0 {
		return 0
	}
	units := min((size-head)/2, maxLink+1)
	link := slices.Clone(unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(data), head)), units))
	if e, ok := interfaceEvent(uint32(action), data.class == diskInterface, link); ok {
		l.tell(e)
	}
	return 0
}

// deviceListener is what one call of Events hears. What does not fit is lost,
// and that is told.
type deviceListener struct {
	id     uintptr
	events chan Event
	lost   chan struct{}
}

// waitingEvents is more than a hub full of sticks tells at once.
const waitingEvents = 256

func (l *deviceListener) tell(e Event) {
	select {
	case l.events <- e:
		return
	default:
	}
	select {
	case l.lost <- struct{}{}:
	default:
	}
}

// listeners are those of this process, by the number that Windows gives back
// with each event.
var listeners = deviceListeners{by: map[uintptr]*deviceListener{}}

type deviceListeners struct {
	mu   sync.Mutex
	last uintptr
	by   map[uintptr]*deviceListener
}

func (s *deviceListeners) add() *deviceListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	l := &deviceListener{id: s.last, events: make(chan Event, waitingEvents), lost: make(chan struct{}, 1)}
	s.by[l.id] = l
	return l
}

func (s *deviceListeners) get(id uintptr) *deviceListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id]
}

func (s *deviceListeners) remove(l *deviceListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, l.id)
}
